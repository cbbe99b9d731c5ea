create table questions (
    campaign varchar not null,
    round integer not null,
    question_id varchar not null,
    source varchar not null,
    split varchar not null,
    kinds varchar[] not null,
    level integer,
    question varchar not null,
    answer varchar not null,
    solution varchar,
    option varchar,
    is_exact boolean not null,
    is_held_out boolean not null,
    prompt varchar,
    test varchar,
    entry_point varchar,
);

comment on table questions is 'One row per question that a round sampled from its source (never a benchmark question).';
comment on column questions.campaign is 'Campaign of the round.';
comment on column questions.round is 'Number of the round in its campaign, from 1.';
comment on column questions.question_id is 'Key within the round; the same question has the same id in every round.';
comment on column questions.source is 'Where it is from: micro, gsm8k, math, a file or a hub data set.';
comment on column questions.split is 'Split of the source that it was drawn from, e.g. train.';
comment on column questions.kinds is 'Kinds of operation (micro) or subjects that the question needs.';
comment on column questions.level is 'Difficulty as the source states it: operations (micro, gsm8k) or level 1 to 5 (math); null where it states none.';
comment on column questions.question is 'Text of the question.';
comment on column questions.answer is 'Gold final answer, as a solution should box it. Where a program is asked for: one that passes its tests.';
comment on column questions.option is 'Text of the right option, which is right word for word, too, as its letter is; null where there are none, one of them is a letter itself, or another one says the same.';
comment on column questions.solution is 'Worked solution of the source; null where it has none. Never trained on.';
comment on column questions.is_exact is 'A right answer is the same text (micro, a letter of an option); else of the same value.';
comment on column questions.is_held_out is 'Its tree is searched but not trained on: the value V is ranked on it.';
comment on column questions.prompt is 'Where a program is asked for: its start, which the question shows, up to the docstring of its function; else null.';
comment on column questions.test is 'Where a program is asked for: its tests, which call it and raise where it is wrong. No prompt shows them. Else null.';
comment on column questions.entry_point is 'Where a program is asked for: the name of its function; else null.';

create table contamination (
    campaign varchar not null,
    round integer not null,
    benchmark varchar not null,
    benchmark_question varchar not null,
    n integer not null,
    is_masked boolean not null,
    kind varchar not null,
    question_id varchar not null,
    text varchar not null,
    texts integer not null,
    share double not null,
    span varchar not null,
    tokens integer not null,
);

comment on table contamination is 'One row per benchmark question, n, masking and kind of training text that holds a run of n of its tokens: the text that holds most of them. Of all questions of a benchmark that can be read whole, asked in this round or not.';
comment on column contamination.campaign is 'Campaign of the round.';
comment on column contamination.round is 'Number of the round in its campaign, from 1.';
comment on column contamination.benchmark is 'Name of the benchmark.';
comment on column contamination.benchmark_question is 'Text of the benchmark''s question.';
comment on column contamination.n is 'Length of the runs, in tokens of the base model''s tokenizer: 8 or 13.';
comment on column contamination.is_masked is 'Every number was written as 0 first: the same problem with other numbers is found, too. Reported only; a round is refused by what is not masked.';
comment on column contamination.kind is 'Training text that holds them: question, plan (a step of one) or solution (a step of one, or its end).';
comment on column contamination.question_id is 'Question of that text (questions).';
comment on column contamination.text is 'That text, as it is learnt.';
comment on column contamination.texts is 'Training texts of this kind that hold at least one of the runs.';
comment on column contamination.share is 'Share of the benchmark question''s runs of n tokens that this one text holds, in (0, 1].';
comment on column contamination.span is 'The longest stretch that both share, as text; masked: with its numbers as 0.';
comment on column contamination.tokens is 'Its length in tokens.';

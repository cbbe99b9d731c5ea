create table second_opinions (
    campaign varchar not null,
    round integer not null,
    origin varchar not null,
    name varchar not null,
    metric varchar,
    gold varchar not null,
    answer varchar not null,
    ours varchar not null,
    theirs varchar not null,
    times integer not null,
);

comment on table second_opinions is 'One row per search or benchmark and its metric, gold answer, answer and verdict on it: what another checker (math-verify, as it comes) says. For reports; no reward depends on it.';
comment on column second_opinions.campaign is 'Campaign of the round.';
comment on column second_opinions.round is 'Number of the round in its campaign, from 1.';
comment on column second_opinions.origin is 'search: terminal nodes of trees; benchmark: samples of all models, in the plan form; harness: those of the standard form, which a harness judged.';
comment on column second_opinions.name is 'Name of the evidence, or of the benchmark.';
comment on column second_opinions.metric is 'What counts as right (evaluations); null in a search, and where it was made before this column.';
comment on column second_opinions.gold is 'Gold answer: of an option, its letter.';
comment on column second_opinions.answer is 'Content of the last \boxed{} of the solution; what a harness read, which may be the whole text.';
comment on column second_opinions.ours is 'Verdict that was the reward, or the score, the harness''s where it judged: right, wrong or undecided. Of options, the text of the right one is right, too.';
comment on column second_opinions.theirs is 'What math-verify says: right, wrong, unread (it reads no mathematics in the gold answer or in this one) or undecided (it failed or took too long).';
comment on column second_opinions.times is 'Nodes or samples with this answer.';

create table evaluations (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    kind varchar not null,
    accuracy double not null,
    stderr double not null,
    n integer not null,
);

comment on table evaluations is 'One row per model, benchmark and kind of question: accuracy of the round''s decoding (evaluation.decoding).';
comment on column evaluations.campaign is 'Campaign of the round.';
comment on column evaluations.round is 'Number of the round in its campaign, from 1.';
comment on column evaluations.model is 'Model that answered (models).';
comment on column evaluations.benchmark is 'Name of the benchmark.';
comment on column evaluations.split is 'in_domain: the source of the training questions; out_of_domain: another distribution.';
comment on column evaluations.kind is 'all: every question; otherwise the questions that have this kind among their kinds.';
comment on column evaluations.accuracy is 'Share of questions answered correctly, in [0, 1].';
comment on column evaluations.stderr is 'Standard error of accuracy: sqrt(p (1 - p) / n).';
comment on column evaluations.n is 'Questions asked; one without an answer or a verdict (evaluation_samples.error) counts as not solved.';

create table evaluations (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    kind varchar not null,
    accuracy double not null,
    accuracy_low double not null,
    accuracy_high double not null,
    stderr double not null,
    n integer not null,
    undecided integer not null,
    lost integer not null,
);

comment on table evaluations is 'One row per model, benchmark and kind of question: accuracy of the round''s decoding (evaluation.decoding).';
comment on column evaluations.campaign is 'Campaign of the round.';
comment on column evaluations.round is 'Number of the round in its campaign, from 1.';
comment on column evaluations.model is 'Model that answered (models).';
comment on column evaluations.benchmark is 'Name of the benchmark.';
comment on column evaluations.split is 'in_domain: the source of the training questions; out_of_domain: another distribution.';
comment on column evaluations.kind is 'all: every question; otherwise the questions that have this kind among their kinds.';
comment on column evaluations.accuracy is 'Share of questions answered correctly, in [0, 1].';
comment on column evaluations.accuracy_low is 'Lower end of the 95 % confidence interval of accuracy (Wilson), in [0, 1].';
comment on column evaluations.accuracy_high is 'Upper end of that interval.';
comment on column evaluations.stderr is 'Standard error of accuracy: sqrt(p (1 - p) / n). It says 0 where all or none are right: there, read the interval.';
comment on column evaluations.n is 'Questions that were answered: those that are lost are left out.';
comment on column evaluations.undecided is 'Of these, answers that the answer check could not decide; they count as not solved.';
comment on column evaluations.lost is 'Questions whose request failed for good (evaluation_samples.error): neither right nor wrong.';

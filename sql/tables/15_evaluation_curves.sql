create table evaluation_curves (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    decoding varchar not null,
    samples integer not null,
    accuracy double not null,
    accuracy_low double,
    accuracy_high double,
    stderr double not null,
    n integer not null,
    equal_clusters double,
    generated_tokens double not null,
);

comment on table evaluation_curves is 'One row per model, benchmark, decoding and number of samples: accuracy against tokens, from the trajectories that were sampled once (evaluation_trajectories), or from beam searches of several widths (evaluation_beams).';
comment on column evaluation_curves.campaign is 'Campaign of the round.';
comment on column evaluation_curves.round is 'Number of the round in its campaign, from 1.';
comment on column evaluation_curves.model is 'Model that answered (models).';
comment on column evaluation_curves.benchmark is 'Name of the benchmark.';
comment on column evaluation_curves.split is 'in_domain or out_of_domain, as in evaluations.';
comment on column evaluation_curves.decoding is 'best_of_n, majority, majority_by_value, as in evaluation.decoding (by value only where V was asked for); adaptive: a vote whose samples go where the first half of them disagree; beam.';
comment on column evaluation_curves.samples is 'Trajectories a question; adaptive: on average, at most; beam: its beams.';
comment on column evaluation_curves.accuracy is 'Share of questions answered correctly by so many, in [0, 1]; of trajectories, over many choices of them.';
comment on column evaluation_curves.accuracy_low is 'Lower end of the 95 % confidence interval of accuracy, as in evaluations. Null where it was made before this column.';
comment on column evaluation_curves.accuracy_high is 'Upper end of that interval.';
comment on column evaluation_curves.stderr is 'Standard error of accuracy over questions, clustered. Points of one curve are of the same questions: they are far less apart than their errors say.';
comment on column evaluation_curves.n is 'Questions.';
comment on column evaluation_curves.equal_clusters is 'As in evaluations.';
comment on column evaluation_curves.generated_tokens is 'Tokens a question, on average.';

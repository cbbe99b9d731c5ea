create table evaluations (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    form varchar not null,
    metric varchar not null,
    shots integer not null,
    kind varchar not null,
    accuracy double not null,
    accuracy_low double not null,
    accuracy_high double not null,
    stderr double not null,
    stderr_draws double,
    n integer not null,
    clusters integer not null,
    equal_clusters double,
    truncated integer not null,
    unparsable integer not null,
    undecided integer not null,
    lost integer not null,
    generated_tokens double not null,
    harness varchar,
    task_version varchar,
    engine varchar,
    settings varchar not null,
);

comment on table evaluations is 'One row per model, benchmark, form, metric and kind of question: accuracy of the round''s decoding (evaluation.decoding).';
comment on column evaluations.campaign is 'Campaign of the round.';
comment on column evaluations.round is 'Number of the round in its campaign, from 1.';
comment on column evaluations.model is 'Model that answered (models).';
comment on column evaluations.benchmark is 'Name of the benchmark.';
comment on column evaluations.split is 'in_domain: the source of the training questions; out_of_domain: another distribution.';
comment on column evaluations.form is 'How it was asked. plan: in the text format of the recipe; standard: as the benchmark''s authors ask, by a harness.';
comment on column evaluations.metric is 'What counts as right: answer (the answer checker), or the harness''s name of it, e.g. exact_match, acc_norm, pass@1.';
comment on column evaluations.shots is 'Worked examples before the question.';
comment on column evaluations.kind is 'all: every question; otherwise the questions that have this kind among their kinds.';
comment on column evaluations.accuracy is 'Share of questions answered correctly, in [0, 1]; of several draws of an answer, their mean.';
comment on column evaluations.accuracy_low is 'Lower end of the 95 % confidence interval of accuracy (Wilson''s, of as many questions as would alone have this stderr; with clusters by Student''s t of as many equal ones less one, in the place of 1.96), in [0, 1].';
comment on column evaluations.accuracy_high is 'Upper end of that interval.';
comment on column evaluations.stderr is 'Standard error of accuracy over questions and draws, clustered (by the jackknife over clusters), and never below that of questions alone: sqrt(p (1 - p) / n) where each is drawn once. It says 0 where all or none are right: there, read the interval.';
comment on column evaluations.stderr_draws is 'Of stderr, the part that more draws of the same questions would take away; null where more than half of them have one answered draw.';
comment on column evaluations.n is 'Questions that were answered: those that are lost are left out.';
comment on column evaluations.clusters is 'Of n, groups that are independent of each other (evaluation_samples.cluster).';
comment on column evaluations.equal_clusters is 'Clusters of one size that would tell as much as these: n squared over the sum of their squared sizes. Null where it was made before this column.';
comment on column evaluations.truncated is 'Answers without an end, for a limit of tokens or steps was reached; they count as not solved, as all answers do that are counted here but the lost.';
comment on column evaluations.unparsable is 'Answers that ended and have no form that could be read.';
comment on column evaluations.undecided is 'Answers that the answer check could not decide.';
comment on column evaluations.lost is 'Answers whose request failed for good (evaluation_samples.error): neither right nor wrong.';
comment on column evaluations.generated_tokens is 'Tokens that an answer took, on average: all samples of a vote or a beam.';
comment on column evaluations.harness is 'Harness that asked, with its version; null for the factory''s own form.';
comment on column evaluations.task_version is 'Version of the harness''s task; null for the factory''s own form.';
comment on column evaluations.engine is 'Version of vLLM that answered; null where the engine does not tell it.';
comment on column evaluations.settings is 'Digest of the settings of the evaluation.';

create view learning_curve as
select
    evaluations.campaign,
    evaluations.benchmark,
    evaluations.split,
    evaluations.form,
    evaluations.metric,
    evaluations.shots,
    evaluations.model,
    evaluations.round,
    evaluations.n,
    evaluations.accuracy,
    evaluations.stderr,
    evaluations.accuracy - lag(evaluations.accuracy) over (
        partition by
            evaluations.campaign,
            evaluations.benchmark,
            evaluations.split,
            evaluations.form,
            evaluations.metric,
            evaluations.shots,
            evaluations.model,
            coalesce(harness || ' ' || task_version, settings)
        order by evaluations.round
    ) as gain_over_last,
    models.is_next,
from evaluations
inner join models using (campaign, round, model)
where evaluations.kind = 'all'
order by all;

comment on view learning_curve is 'One row per benchmark (form, metric, shots), model and round: how each model''s accuracy goes from round to round, to be read downwards.';
comment on column learning_curve.campaign is 'Campaign of the rounds.';
comment on column learning_curve.benchmark is 'Name of the benchmark.';
comment on column learning_curve.split is 'in_domain or out_of_domain.';
comment on column learning_curve.form is 'plan or standard (evaluations).';
comment on column learning_curve.metric is 'What counts as right (evaluations).';
comment on column learning_curve.shots is 'Worked examples before the question.';
comment on column learning_curve.model is 'Model that answered (models); base is the same in every round.';
comment on column learning_curve.round is 'Number of the round in its campaign, from 1.';
comment on column learning_curve.n is 'Questions answered.';
comment on column learning_curve.accuracy is 'Share of questions answered correctly, in [0, 1].';
comment on column learning_curve.stderr is 'Standard error of accuracy.';
comment on column learning_curve.gain_over_last is 'Accuracy minus that of the model of this name in the last round that asked one alike (shots, and settings of the evaluation or task of the harness), in [-1, 1]; null in the first.';
comment on column learning_curve.is_next is 'The policy that the next round searched with.';

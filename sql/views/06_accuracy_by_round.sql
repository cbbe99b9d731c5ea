create view accuracy_by_round as
with shares as (
    select
        campaign,
        round,
        benchmark,
        split,
        form,
        metric,
        shots,
        kinds,
        question_id,
        coalesce(cluster, question_id) as cluster,
        model,
        avg(is_correct::int) as share,
    from evaluation_samples
    where is_correct is not null
    group by all
),

answered as (
    select * exclude (kinds), unnest(list_distinct(kinds || ['all'])) as kind
    from shares
),

by_cluster as (
    select
        campaign,
        round,
        benchmark,
        split,
        form,
        metric,
        kind,
        answered.model,
        answered.shots,
        base.shots as base_shots,
        answered.cluster,
        count(*) as n,
        sum(answered.share - base.share) as gained,
        sum((answered.share - base.share) ** 2) as squares,
    from answered
    inner join answered as base using (campaign, round, benchmark, split, form, metric, kind, question_id)
    where base.model = 'base'
    group by all
),

off_by as (
    select
        *,
        gained - n * sum(gained) over pair / sum(n) over pair as off,
        1 - n / sum(n) over pair as rest,
    from by_cluster
    window pair as (partition by campaign, round, benchmark, split, form, metric, kind, model, shots, base_shots)
),

paired as (
    select
        campaign,
        round,
        benchmark,
        split,
        form,
        metric,
        kind,
        model,
        shots,
        base_shots,
        sum(gained) / sum(n) as gain,
        -- of a mean with clusters, and as if each question were its own, as in model_comparisons
        if(count(*) < sum(n), (count(*) - 1) / count(*) * sum((off / if(rest > 0, rest, 1)) ** 2), 0) as clustered,
        sum(squares) - gain ** 2 * sum(n) as alone,
        if(count(*) = 1 and sum(n) > 1, null, sqrt(greatest(clustered, alone, 0)) / sum(n)) as gain_stderr,
    from off_by
    group by all
)

select
    evaluations.campaign,
    evaluations.round,
    evaluations.benchmark,
    evaluations.split,
    evaluations.form,
    evaluations.metric,
    evaluations.kind,
    evaluations.model,
    evaluations.accuracy,
    evaluations.accuracy_low,
    evaluations.accuracy_high,
    evaluations.stderr,
    evaluations.shots,
    evaluations.n,
    paired.base_shots,
    paired.gain,
    paired.gain_stderr,
from evaluations
left join paired using (campaign, round, benchmark, split, form, metric, kind, model, shots);

comment on view accuracy_by_round is 'One row per evaluation, compared with the campaign''s base model.';
comment on column accuracy_by_round.campaign is 'Campaign of the round.';
comment on column accuracy_by_round.round is 'Number of the round in its campaign, from 1.';
comment on column accuracy_by_round.benchmark is 'Name of the benchmark.';
comment on column accuracy_by_round.split is 'in_domain or out_of_domain.';
comment on column accuracy_by_round.form is 'plan or standard (evaluations).';
comment on column accuracy_by_round.metric is 'What counts as right (evaluations).';
comment on column accuracy_by_round.kind is 'all, or one kind of question.';
comment on column accuracy_by_round.model is 'Model that answered.';
comment on column accuracy_by_round.accuracy is 'Share of questions answered correctly, in [0, 1].';
comment on column accuracy_by_round.accuracy_low is 'Lower end of the 95 % confidence interval of accuracy (evaluations).';
comment on column accuracy_by_round.accuracy_high is 'Upper end of that interval.';
comment on column accuracy_by_round.stderr is 'Standard error of accuracy, clustered; 0 where all or none are right.';
comment on column accuracy_by_round.n is 'Questions answered.';
comment on column accuracy_by_round.shots is 'Worked examples before the question.';
comment on column accuracy_by_round.base_shots is 'Those that base was shown. Where they are others, gain is of models that were asked otherwise: what training and examples did, not training alone.';
comment on column accuracy_by_round.gain is 'Accuracy minus that of base, on the questions that both answered in the same round, in [-1, 1]; null where base was not evaluated.';
comment on column accuracy_by_round.gain_stderr is 'Standard error of gain, of the differences question by question, clustered (by the jackknife over clusters); null where all questions are of one cluster, which tells nothing.';

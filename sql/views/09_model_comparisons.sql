create view model_comparisons as
with weights as (
    select models.campaign, models.round, models.model, models.is_next, own.model as scored, own.sha256 as weights
    from models
    inner join models as own
        on (own.campaign, own.round, own.model) = (models.campaign, models.round, coalesce(models.same_as, models.model))
),

-- A model that has another one's weights is not asked again: it has that one's answers.
answered as (
    select
        campaign,
        round,
        weights.model,
        is_next,
        weights,
        benchmark,
        split,
        form,
        metric,
        shots,
        question_id,
        coalesce(cluster, question_id) as cluster,
        avg(is_correct::int) as share,
    from weights
    inner join evaluation_samples as samples using (campaign, round)
    where is_correct is not null and samples.model = scored
    group by all
),

-- Of one round every two models; of a round and the one before it, those of one name and those that search next.
by_cluster as (
    select
        one.campaign,
        one.round,
        one.benchmark,
        one.split,
        one.form,
        one.metric,
        one.shots,
        one.model,
        other.round as other_round,
        other.model as other,
        one.weights = other.weights as is_same,
        one.cluster,
        count(*) as n,
        sum(one.share - other.share) as gained,
        sum((one.share - other.share) ** 2) as squares,
        count(*) filter (where one.share > other.share) as only_model,
        count(*) filter (where one.share < other.share) as only_other,
    from answered as one
    inner join answered as other using (campaign, benchmark, split, form, metric, shots, question_id)
    where
        (one.round = other.round and one.model <> other.model)
        or (one.round = other.round + 1 and (one.model = other.model or (one.is_next and other.is_next)))
    group by all
),

totals as (
    select
        * exclude (cluster, n, gained, squares, only_model, only_other),
        sum(by_cluster.n)::bigint as n,
        count(*) as clusters,
        sum(gained) / sum(by_cluster.n) as difference,
        sum(squares) as squares,
        sum(gained ** 2) as gained_squares,
        sum(gained * by_cluster.n) as gained_times_n,
        sum(by_cluster.n ** 2) as n_squares,
        sum(only_model)::bigint as only_model,
        sum(only_other)::bigint as only_other,
        count(*) filter (where gained > 1e-9) as for_model,
        count(*) filter (where gained < -1e-9) as for_other,
    from by_cluster
    group by all
),

-- The variance of a mean, as if each question were its own cluster, and with clusters ("Adding Error Bars to Evals",
-- 2411.00640, section 2.2); as many independent questions have it, or, where all differ alike, as there are clusters.
paired as (
    select
        * exclude (squares, gained_squares, gained_times_n, n_squares),
        greatest(squares / n - difference ** 2, 0) / n as alone,
        greatest(gained_squares - 2 * difference * gained_times_n + difference ** 2 * n_squares, 0) / n ** 2 as clustered,
        sqrt(greatest(alone, clustered)) as stderr,
        if(alone > 0, n / greatest(clustered / alone, 1), clusters) as independent,
        difference * independent / (independent + 2) as middle,
        sqrt(((squares / n * independent + 2) / (independent + 2) - middle ** 2) / (independent + 2)) as middle_stderr,
        for_model + for_other as tosses,
    from totals
),

-- McNemar's exact test: what one of the two alone has right are tosses of a fair coin. Questions of one cluster are one
-- toss, for whom it has more of them right.
tested as (
    select
        *,
        greatest(middle - 1.959964 * middle_stderr, -1) as low,
        least(middle + 1.959964 * middle_stderr, 1) as high,
        least(
            1,
            2 * list_sum(
                list_transform(
                    range(least(for_model, for_other) + 1),
                    lambda heads: exp(
                        lgamma(tosses + 1) - lgamma(heads + 1) - lgamma(tosses - heads + 1) - tosses * ln(2)
                    )
                )
            )
        ) as p_value,
    from paired
),

-- Holm (1979), over all benchmarks of two models: the smallest p-value times their number, the next times one less, …
ranked as (
    select *, count(*) over pair + 1 - row_number() over (pair order by p_value) as others
    from tested
    window pair as (partition by campaign, round, model, other_round, other)
),

judged as (
    select
        *,
        max(least(others * p_value, 1)) over (
            partition by campaign, round, model, other_round, other order by others desc
        ) as p_of_all,
    from ranked
)

select
    campaign,
    round,
    benchmark,
    split,
    form,
    metric,
    shots,
    model,
    other_round,
    other,
    difference,
    stderr,
    low,
    high,
    n,
    clusters,
    only_model,
    only_other,
    p_value,
    p_of_all,
    greatest(2.801585 * stderr, 6 / clusters) as detectable,
    case
        when is_same then 'the same weights'
        when p_of_all < 0.05 and low > 0 then 'better'
        when p_of_all < 0.05 and high < 0 then 'worse'
        else 'cannot be told with n = ' || n
    end as verdict,
from judged;

comment on view model_comparisons is 'One row per benchmark (form, metric) and ordered pair of a round''s models, or of a model and its like in the round before: which of the two is better, on the questions that both answered.';
comment on column model_comparisons.campaign is 'Campaign of the round.';
comment on column model_comparisons.round is 'Number of the round in its campaign, from 1.';
comment on column model_comparisons.benchmark is 'Name of the benchmark.';
comment on column model_comparisons.split is 'in_domain or out_of_domain.';
comment on column model_comparisons.form is 'How both were asked: plan or standard (evaluations).';
comment on column model_comparisons.metric is 'What counts as right (evaluations).';
comment on column model_comparisons.shots is 'Worked examples before the question.';
comment on column model_comparisons.model is 'Model that is compared (models).';
comment on column model_comparisons.other_round is 'Round of other: the same, or the one before: there, of the same name, or what the round ended with.';
comment on column model_comparisons.other is 'Model that it is compared with.';
comment on column model_comparisons.difference is 'Accuracy of model minus that of other, in [-1, 1]; of several draws of an answer, their mean.';
comment on column model_comparisons.stderr is 'Standard error of difference, of the differences question by question, clustered, and never below that of questions alone.';
comment on column model_comparisons.low is 'Lower end of the 95 % confidence interval of difference: of as many independent questions as have this stderr, and two more, one for each model (Bonett and Price 2012): so it has a width where no answer differs.';
comment on column model_comparisons.high is 'Upper end of that interval.';
comment on column model_comparisons.n is 'Questions that both answered.';
comment on column model_comparisons.clusters is 'Of n, groups that are independent of each other (evaluation_samples.cluster).';
comment on column model_comparisons.only_model is 'Of these, questions that model alone has right; of several draws, that it has right more often.';
comment on column model_comparisons.only_other is 'Of these, questions that other alone has right, or more often.';
comment on column model_comparisons.p_value is 'Chance of so uneven a split of only_model and only_other, or a more uneven one, if both models were equally good (McNemar''s exact test, two-sided, of this pair and benchmark alone; questions of one cluster count once, for whom has more of them).';
comment on column model_comparisons.p_of_all is 'The same with all benchmarks of these two models judged at once (Holm): of those below 0.05, the chance that any is not there is 5 %.';
comment on column model_comparisons.detectable is 'Smallest true difference that so many questions would tell in four of five tries: (1.96 + 0.84) stderr, at least six clusters, without which McNemar''s test tells nothing.';
comment on column model_comparisons.verdict is 'better or worse: model against other, where p_of_all is below 0.05 and the interval leaves out 0; else: cannot be told with n = so many; or: the same weights.';

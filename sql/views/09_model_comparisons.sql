create view model_comparisons as
with weights as (
    select models.campaign, models.round, models.model, models.is_next, own.model as scored, own.sha256 as weights
    from models
    inner join models as own
        on (own.campaign, own.round, own.model) = (models.campaign, models.round, coalesce(models.same_as, models.model))
),

-- How a model was asked: by which settings, or by which task of a harness, whose settings only choose the questions.
ways as (
    select
        campaign,
        round,
        model,
        benchmark,
        split,
        form,
        metric,
        shots,
        coalesce(harness || ' ' || task_version, settings) as way,
    from evaluations
    where kind = 'all'
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
        {'way': way, 'shots': shots, 'prompt': prompt_digest} as asked,
        count(*) as draws,
        avg(is_correct::int) as share,
    from weights
    inner join (
        from evaluation_samples
        left join ways using (campaign, round, model, benchmark, split, form, metric, shots)
    ) as samples using (campaign, round)
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
        other.shots as other_shots,
        one.weights = other.weights as is_same,
        one.cluster,
        count(*) as n,
        max(greatest(one.draws, other.draws)) as draws,
        bool_or(one.asked is distinct from other.asked) as is_otherwise,
        sum(one.share - other.share) as gained,
        sum((one.share - other.share) ** 2) as squares,
        count(*) filter (where one.share > other.share) as only_model,
        count(*) filter (where one.share < other.share) as only_other,
    from answered as one
    inner join answered as other using (campaign, benchmark, split, form, metric, question_id)
    where
        (one.round = other.round and one.model <> other.model)
        or (one.round = other.round + 1 and (one.model = other.model or (one.is_next and other.is_next)))
    group by all
),

-- How far each cluster is off the mean, and by how much of it the mean is its own.
off_by as (
    select
        *,
        gained - n * sum(gained) over pair / sum(n) over pair as off,
        1 - n / sum(n) over pair as rest,
    from by_cluster
    window pair as (
        partition by campaign, round, benchmark, split, form, metric, shots, model, other_round, other, other_shots
    )
),

-- Unequal clusters are worth fewer equal ones.
totals as (
    select
        * exclude (cluster, n, draws, is_otherwise, gained, squares, only_model, only_other, off, rest),
        sum(by_cluster.n)::bigint as n,
        count(*) as clusters,
        sum(by_cluster.n) ** 2 / sum(by_cluster.n ** 2) as equal_clusters,
        bool_or(is_otherwise) as is_otherwise,
        sum(gained) / sum(by_cluster.n) as difference,
        sum(squares) as squares,
        sum((off / if(rest > 0, rest, 1)) ** 2) as off_squares,
        sum(only_model)::bigint as only_model,
        sum(only_other)::bigint as only_other,
        list_transform(
            list(gained) filter (where abs(gained) > 1e-9), lambda one: round(one * max(draws))::bigint
        ) as gains,
    from off_by as by_cluster
    group by all
),

-- The variance of a mean, as if each question were its own cluster, and with clusters ("Adding Error Bars to Evals",
-- 2411.00640, section 2.2; by the jackknife, as tasks/scoring/accuracy.py); as many independent questions have it, or, where all
-- differ alike, as there are clusters. reach: standard errors to the ends of an interval, 1.96, or Student's t of as many
-- equal clusters less one (its series in 1 / degrees: Abramowitz and Stegun 26.7.5, and what it lacks at one: within
-- half a percent).
paired as (
    select
        * exclude (squares, off_squares),
        squares / n as differing,
        greatest(squares / n - difference ** 2, 0) / n as alone,
        if(clusters < n, (clusters - 1) / clusters * off_squares, 0) / n ** 2 as clustered,
        sqrt(greatest(alone, clustered)) as stderr,
        if(alone > 0, n / greatest(clustered / alone, 1), clusters) as independent,
        if(clusters < n, 1 / greatest(equal_clusters - 1, 1), 0) as freedom,
        1.959964 + 2.372271 * freedom + 2.822499 * freedom ** 2 + 2.555850 * freedom ** 3 + 1.589534 * freedom ** 4
            + 1.406087 * freedom ** 6 as reach,
        difference * independent / (independent + 2) as middle,
        sqrt(((squares / n * independent + 2) / (independent + 2) - middle ** 2) / (independent + 2)) as middle_stderr,
        list_sum(list_transform(gains, lambda one: abs(one)))::bigint as most,
        abs(list_sum(gains))::bigint as seen,
        map_entries(list_histogram(list_transform(gains, lambda one: abs(one)))) as tosses,
    from totals
),

-- A test by randomisation: were the models equally good, what a cluster gains could as well be lost, so its sign is the
-- toss of a fair coin. p_value: of all tosses, those whose sum is as far from 0 as the one seen, or farther, exactly: the
-- sum of w_1, w_2, … with random signs has the characteristic function cos(w_1 t) cos(w_2 t) …, and a finite sum over t
-- gives its chance to be nearer. Where each question stands alone and is drawn once, it is McNemar's exact test.
tested as (
    select
        *,
        clusters = 1 and n > 1 as is_of_one, -- which tells nothing of others
        if(is_of_one, -1, greatest(middle - reach * middle_stderr, -1)) as low,
        if(is_of_one, 1, least(middle + reach * middle_stderr, 1)) as high,
        list_sum(
            list_transform(
                list_transform(range(1, most + 1), lambda place: 2 * pi() * place / (2 * most + 1)),
                lambda t: list_product(list_transform(tosses, lambda toss: cos(toss.key * t) ** toss.value))
                * sin((seen - 0.5) * t)
                / sin(t / 2)
            )
        ) as nearer,
        if(
            coalesce(seen, 0) = 0,
            1,
            greatest(1 - (2 * seen - 1 + 2 * nearer) / (2 * most + 1), 2.0 ** (1 - len(gains)))
        ) as p_value,
    from paired
),

-- Holm (1979), over all benchmarks of two models that are judged: the smallest p-value times their number, the next times
-- one less, …
ranked as (
    select *, count(*) over pair as family, count(*) over pair + 1 - row_number() over (pair order by p_value) as others
    from tested
    window pair as (partition by campaign, round, model, other_round, other, is_otherwise or is_same)
),

-- z: standard errors that the strictest test of Holm's asks for, two-sided (Abramowitz and Stegun 26.2.23).
judged as (
    select
        *,
        max(least(others * p_value, 1)) over (
            partition by campaign, round, model, other_round, other, is_otherwise or is_same order by others desc
        ) as p_of_all,
        sqrt(-2 * ln(0.025 / family)) as root,
        root
        - (2.515517 + 0.802853 * root + 0.010328 * root ** 2)
        / (1 + 1.432788 * root + 0.189269 * root ** 2 + 0.001308 * root ** 3) as z,
    from ranked
),

-- In thousandths, the smallest difference of which both the test and the interval are passed in four of five tries. Of
-- so many independent questions the sum of their differences has this mean and variance; the test asks for z roots of
-- its square's mean, and a half step more, for it is exact. How many questions differ goes up and down with the sum, which
-- is why it passes more often where all differ one way (first order in both).
sized as (
    select
        *,
        list_filter(
            list_transform(
                list_transform(range(1, 1001), lambda points: points / 1000),
                lambda delta: {
                    'delta': delta,
                    'sum': independent * delta,
                    'differ': greatest(differing, delta),
                    'variance': independent * (greatest(differing, delta) - delta ** 2)
                }
            ),
            lambda fact: fact.sum
            >= greatest(z * sqrt(fact.variance + fact.sum ** 2 / equal_clusters) + 1, reach * sqrt(fact.variance))
            + 0.841621 * sqrt(
                greatest(
                    fact.variance
                    - z * fact.delta * (1 - fact.differ) * sqrt(independent / fact.differ)
                    + z ** 2 * (1 - fact.differ) / 4,
                    0
                )
            )
        )[1].delta as told,
    from judged
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
    if(2.0 ** (1 - clusters) <= 0.05 / family, told, null) as detectable,
    case
        when is_otherwise then 'asked otherwise'
        when is_same then 'the same weights'
        when p_of_all < 0.05 and low > 0 then 'better'
        when p_of_all < 0.05 and high < 0 then 'worse'
        else 'cannot be told with n = ' || n
    end as verdict,
from sized;

comment on view model_comparisons is 'One row per benchmark (form, metric) and ordered pair of a round''s models, or of a model and its like in the round before: which of the two is better, on the questions that both answered.';
comment on column model_comparisons.campaign is 'Campaign of the round.';
comment on column model_comparisons.round is 'Number of the round in its campaign, from 1.';
comment on column model_comparisons.benchmark is 'Name of the benchmark.';
comment on column model_comparisons.split is 'in_domain or out_of_domain.';
comment on column model_comparisons.form is 'How both were asked: plan or standard (evaluations).';
comment on column model_comparisons.metric is 'What counts as right (evaluations).';
comment on column model_comparisons.shots is 'Worked examples before the question, as model was asked.';
comment on column model_comparisons.model is 'Model that is compared (models).';
comment on column model_comparisons.other_round is 'Round of other: the same, or the one before: there, of the same name, or what the round ended with.';
comment on column model_comparisons.other is 'Model that it is compared with.';
comment on column model_comparisons.difference is 'Accuracy of model minus that of other, in [-1, 1]; of several draws of an answer, their mean.';
comment on column model_comparisons.stderr is 'Standard error of difference, of the differences question by question, clustered (by the jackknife over clusters), and never below that of questions alone.';
comment on column model_comparisons.low is 'Lower end of the 95 % confidence interval of difference: of as many independent questions as have this stderr, and two more, one for each model (Bonett and Price 2012): so it has a width where no answer differs. With clusters by Student''s t, of as many equal ones less one; -1 (and high 1) where all questions are of one cluster.';
comment on column model_comparisons.high is 'Upper end of that interval.';
comment on column model_comparisons.n is 'Questions that both answered.';
comment on column model_comparisons.clusters is 'Of n, groups that are independent of each other (evaluation_samples.cluster).';
comment on column model_comparisons.only_model is 'Of these, questions that model alone has right; of several draws, that it has right more often.';
comment on column model_comparisons.only_other is 'Of these, questions that other alone has right, or more often.';
comment on column model_comparisons.p_value is 'Chance of a difference as far from 0, or farther, if what each question''s cluster gains could as well be lost (its sign is a fair coin''s; two-sided, exact, of this pair and benchmark alone). Where questions stand alone and are drawn once: McNemar''s exact test. With draws, of the differences of shares; where some were lost, rounded to whole draws, and so no more exact.';
comment on column model_comparisons.p_of_all is 'The same with all benchmarks by which these two models are judged at once (Holm): of those below 0.05, the chance that any is not there is 5 %.';
comment on column model_comparisons.detectable is 'Smallest true difference that is told, as the verdict is judged, in four of five tries: by Holm''s strictest step and the interval, if as many questions differ and go together as here, or one way only, where fewer do. Null where so few clusters tell nothing.';
comment on column model_comparisons.verdict is 'asked otherwise: prompts, worked examples, settings of the evaluation or task of the harness differ, so nothing is judged. the same weights. better or worse: model against other, where p_of_all is below 0.05 and the interval leaves out 0. Else: cannot be told with n = so many.';

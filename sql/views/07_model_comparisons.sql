create view model_comparisons as
with weights as (
    select campaign, round, model, coalesce(same_as, model) as weights
    from models
),

-- A model that has another one's weights is not asked again: it has that one's answers.
answered as (
    select campaign, round, benchmark, split, question_id, weights.model, weights.weights, is_correct
    from weights
    inner join evaluation_samples as samples using (campaign, round)
    where is_correct is not null and samples.model = weights.weights
),

paired as (
    select
        one.campaign,
        one.round,
        one.benchmark,
        one.split,
        one.model,
        other.model as other,
        one.weights = other.weights as is_same,
        avg(one.is_correct::int - other.is_correct::int) as difference,
        sqrt(var_pop(one.is_correct::int - other.is_correct::int) / count(*)) as stderr,
        count(*) as n,
        count(*) filter (where one.is_correct and not other.is_correct) as only_model,
        count(*) filter (where other.is_correct and not one.is_correct) as only_other,
    from answered as one
    inner join answered as other using (campaign, round, benchmark, split, question_id)
    where one.model <> other.model
    group by all
),

-- McNemar's exact test: the questions that one of the two alone has right are tosses of a fair coin.
tested as (
    select
        *,
        only_model + only_other as tosses,
        least(
            1,
            2 * list_sum(
                list_transform(
                    range(least(only_model, only_other) + 1),
                    lambda heads: exp(
                        lgamma(tosses + 1) - lgamma(heads + 1) - lgamma(tosses - heads + 1) - tosses * ln(2)
                    )
                )
            )
        ) as p_value,
    from paired
)

select
    * exclude (is_same, tosses),
    case
        when is_same then 'the same weights'
        when p_value >= 0.05 then 'cannot be told at this n'
        when only_model > only_other then 'better'
        else 'worse'
    end as verdict,
from tested;

comment on view model_comparisons is 'One row per benchmark and ordered pair of a round''s models: which of the two is better, on the questions that both answered.';
comment on column model_comparisons.campaign is 'Campaign of the round.';
comment on column model_comparisons.round is 'Number of the round in its campaign, from 1.';
comment on column model_comparisons.benchmark is 'Name of the benchmark.';
comment on column model_comparisons.split is 'in_domain or out_of_domain.';
comment on column model_comparisons.model is 'Model that is compared (models).';
comment on column model_comparisons.other is 'Model that it is compared with.';
comment on column model_comparisons.difference is 'Accuracy of model minus that of other, in [-1, 1].';
comment on column model_comparisons.stderr is 'Standard error of difference, of the differences question by question.';
comment on column model_comparisons.n is 'Questions that both answered.';
comment on column model_comparisons.only_model is 'Of these, questions that model alone has right.';
comment on column model_comparisons.only_other is 'Of these, questions that other alone has right.';
comment on column model_comparisons.p_value is 'Chance of so uneven a split of only_model and only_other, or a more uneven one, if both models were equally good (McNemar''s exact test, two-sided, of this pair and benchmark alone).';
comment on column model_comparisons.verdict is 'better or worse: model against other, where p_value is below 0.05; else: cannot be told at this n; or: the same weights.';

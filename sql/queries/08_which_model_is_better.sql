-- Which model is better, and can this many questions tell? Every pair of a round's models on each benchmark, and each model against its like of the round before: an exact test, with Holm over the benchmarks of two models.
select
    campaign,
    round,
    benchmark,
    form,
    metric,
    model,
    other_round,
    other,
    round(difference, 3) as difference,
    round(stderr, 3) as stderr,
    round(low, 3) as low,
    round(high, 3) as high,
    n,
    only_model,
    only_other,
    round(p_value, 4) as p_value,
    round(p_of_all, 4) as p_of_all,
    round(detectable, 3) as detectable,
    verdict,
from model_comparisons
where other_round < round or model > other
order by all

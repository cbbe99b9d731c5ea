-- Which model is better, and can this many questions tell? Every pair of a round's models on each benchmark, McNemar's test; of 20 pairs that are equally good, one will look different.
select
    round,
    benchmark,
    model,
    other,
    round(difference, 3) as difference,
    round(stderr, 3) as stderr,
    n,
    only_model,
    only_other,
    round(p_value, 4) as p_value,
    verdict,
from model_comparisons
where model > other
order by all

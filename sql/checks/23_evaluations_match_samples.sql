-- An evaluation's n and accuracy are those of its samples, for all questions and for each kind.
with labelled as (
    select campaign, round, model, benchmark, split, unnest(list_distinct(kinds) || ['all']) as kind, is_correct
    from evaluation_samples
),

counted as (
    select campaign, round, model, benchmark, split, kind, avg(is_correct::int) as accuracy, count(*) as n
    from labelled
    group by all
)

select
    campaign,
    round,
    model,
    benchmark,
    split,
    kind,
    evaluations.accuracy,
    counted.accuracy as accuracy_of_samples,
    evaluations.n,
    counted.n as n_of_samples,
from evaluations
full join counted using (campaign, round, model, benchmark, split, kind)
where (abs(evaluations.accuracy - counted.accuracy) <= 1e-6 and evaluations.n = counted.n) is not true

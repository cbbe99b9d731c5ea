-- An evaluation's n, accuracy, undecided and lost questions are those of its samples, for all questions and for each kind.
with labelled as (
    select
        campaign,
        round,
        model,
        benchmark,
        split,
        unnest(list_distinct(kinds || ['all'])) as kind,
        is_correct,
        is_undecided,
    from evaluation_samples
),

counted as (
    select
        campaign,
        round,
        model,
        benchmark,
        split,
        kind,
        avg(is_correct::int) as accuracy,
        count(is_correct) as n,
        count(*) filter (where is_undecided) as undecided,
        count(*) - n as lost,
    from labelled
    group by all
    having n > 0
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
    evaluations.undecided,
    counted.undecided as undecided_of_samples,
    evaluations.lost,
    counted.lost as lost_of_samples,
from evaluations
full join counted using (campaign, round, model, benchmark, split, kind)
where
    (
        abs(evaluations.accuracy - counted.accuracy) <= 1e-6
        and evaluations.n = counted.n
        and evaluations.undecided = counted.undecided
        and evaluations.lost = counted.lost
    ) is not true

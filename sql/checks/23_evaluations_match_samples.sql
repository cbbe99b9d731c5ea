-- An evaluation's n, accuracy, unfinished, unread, undecided and lost answers are those of its samples, for all questions and for each kind.
with labelled as (
    select
        campaign,
        round,
        model,
        benchmark,
        split,
        form,
        metric,
        unnest(list_distinct(kinds || ['all'])) as kind,
        question_id,
        is_correct,
        outcome,
        generated_tokens,
    from evaluation_samples
),

asked as (
    select
        campaign,
        round,
        model,
        benchmark,
        split,
        form,
        metric,
        kind,
        question_id,
        avg(is_correct::int) as share,
        sum(generated_tokens) filter (where is_correct is not null) as generated_tokens,
        count(is_correct) as answers,
        count(*) filter (where outcome = 'truncated') as truncated,
        count(*) filter (where outcome = 'unparsable') as unparsable,
        count(*) filter (where outcome = 'undecided') as undecided,
        count(*) - answers as lost,
    from labelled
    group by all
),

counted as (
    select
        campaign,
        round,
        model,
        benchmark,
        split,
        form,
        metric,
        kind,
        avg(share) as accuracy,
        count(share) as n,
        sum(generated_tokens) / sum(answers) as generated_tokens,
        [sum(truncated), sum(unparsable), sum(undecided), sum(lost)]::integer[] as unsolved,
    from asked
    group by all
    having n > 0
)

select
    campaign,
    round,
    model,
    benchmark,
    split,
    form,
    metric,
    kind,
    evaluations.accuracy,
    counted.accuracy as accuracy_of_samples,
    evaluations.n,
    counted.n as n_of_samples,
    [truncated, unparsable, undecided, lost] as told,
    counted.unsolved as told_of_samples,
from evaluations
full join counted using (campaign, round, model, benchmark, split, form, metric, kind)
where
    (
        abs(evaluations.accuracy - counted.accuracy) <= 1e-6
        and abs(evaluations.generated_tokens - counted.generated_tokens) <= 1e-6
        and evaluations.n = counted.n
        and told = counted.unsolved
    ) is not true
union all
select campaign, round, model, benchmark, split, form, metric, outcome, is_correct::int, null, null, null, null, null
from evaluation_samples
where
    (
        outcome in ('right', 'wrong', 'truncated', 'unparsable', 'undecided', 'failed')
        and is_correct is not distinct from if(outcome = 'failed', null, outcome = 'right')
        and (error is null) = (outcome <> 'failed')
    ) is not true

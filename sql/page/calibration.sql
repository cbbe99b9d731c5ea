-- Does V mean what it says? The mean reward below a step (weighed by visits; or of its rollouts; without V) by the V that it was given, in all searches together that back V up, where there are some. Errors are clustered by question.
with steps as (
    select
        trees.question_id,
        nodes.value,
        outcome,
        floor(least(nodes.value, 0.999) * 5) / 5 as value_from,
        avg(outcome) over (partition by value_from) as mean_outcome,
    from nodes
    inner join trees using (campaign, round, tree_id)
    where
        (campaign, round) = ($campaign, $round)
        and (
            backup = 'values'
            or not exists (from trees where (campaign, round) = ($campaign, $round) and backup = 'values')
        )
        and nodes.kind in ('plan', 'step')
        and nodes.value is not null
        and outcome is not null
),

by_question as (
    select
        value_from,
        question_id,
        mean_outcome,
        count(*) as steps,
        sum(value) as values_added,
        sum(outcome - mean_outcome) as off,
    from steps
    group by all
)

select
    value_from,
    value_from + 0.2 as value_to,
    sum(steps)::bigint as steps,
    count(*) as questions,
    sum(values_added) / sum(steps) as mean_value,
    mean_outcome,
    if(count(*) > 1, sqrt(sum(off * off)) / sum(steps), null) as stderr,
from by_question
group by value_from, mean_outcome
order by value_from

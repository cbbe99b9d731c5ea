-- How much of the search is spent on plan steps that were written before, word for word or with other numbers?
with searched as (
    select campaign, round, count(*) as plan_steps
    from nodes
    where kind in ('plan', 'step')
    group by all
),

repeated as (
    select
        campaign,
        round,
        count(*) as groups,
        sum(copies)::bigint as steps_that_repeat,
        sum(copies) filter (where texts < copies)::bigint as in_groups_with_exact_duplicates,
    from repeated_steps
    group by all
)

select *, round(steps_that_repeat / plan_steps, 3) as share_repeated
from searched
left join repeated using (campaign, round)
order by all

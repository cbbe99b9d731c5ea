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
        sum(copies - 1)::bigint as written_before,
        sum(copies - texts)::bigint as word_for_word,
    from repeated_steps
    group by all
)

select
    campaign,
    round,
    plan_steps,
    coalesce(repeated.groups, 0) as groups,
    coalesce(written_before, 0) as written_before,
    coalesce(word_for_word, 0) as word_for_word,
    round(coalesce(written_before, 0) / plan_steps, 3) as share_written_before,
from searched
left join repeated using (campaign, round)
order by all

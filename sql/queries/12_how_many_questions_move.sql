-- How many questions does a round solve that the round before did not, and how many does it lose?
with searched as (
    select campaign, round, question_id, bool_or(is_solved) as is_solved
    from trees
    where state not in ('failed', 'skipped')
    group by all
)

select
    campaign,
    round,
    count(*) as searched,
    count(*) filter (where searched.is_solved) as solved,
    count(before.question_id) as searched_before_too,
    count(*) filter (where searched.is_solved and not before.is_solved) as solved_now,
    count(*) filter (where not searched.is_solved and before.is_solved) as lost_again,
from searched
left join (select campaign, round + 1 as round, question_id, is_solved from searched) as before
    using (campaign, round, question_id)
group by all
order by all

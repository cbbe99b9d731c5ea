-- How often does the policy solve a question alone, and how often with search? By source, level and round.
with asked as (
    select campaign, round, question_id, max(pass_rate) as pass_rate, bool_or(is_solved) as is_solved
    from trees
    where state <> 'failed'
    group by all
)

select
    campaign,
    asked.round,
    source,
    level,
    count(*) as questions,
    round(avg(pass_rate), 3) as mean_pass_rate,
    count(*) filter (where pass_rate = 0) as never_right_alone,
    count(*) filter (where is_solved) as solved,
    count(*) filter (where pass_rate = 0 and is_solved) as solved_by_search_alone,
from asked
inner join questions using (campaign, round, question_id)
group by all
order by all

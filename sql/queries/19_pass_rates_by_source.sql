-- How often does the policy solve a question alone, and how often with search? By source, level and round.
select
    campaign,
    trees.round,
    source,
    level,
    count(distinct question_id) as questions,
    round(avg(pass_rate), 3) as mean_pass_rate,
    count(distinct question_id) filter (where pass_rate = 0) as never_right_alone,
    count(distinct question_id) filter (where is_solved) as solved,
    count(distinct question_id) filter (where pass_rate = 0 and is_solved) as solved_by_search_alone,
from trees
inner join questions using (campaign, round, question_id)
where state <> 'failed'
group by all
order by all

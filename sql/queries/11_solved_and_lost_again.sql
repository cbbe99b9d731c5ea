-- Which questions moved from unsolved to solved, and back? By what searches found, of rounds that both searched a question.
with searched as (
    select campaign, round, question_id, bool_or(is_solved) as is_solved, max(pass_rate) as pass_rate
    from trees
    where state not in ('failed', 'skipped')
    group by all
),

moved as (
    select
        *,
        lag(round) over rounds_of_question as round_before,
        lag(is_solved) over rounds_of_question as was_solved,
        lag(pass_rate) over rounds_of_question as pass_rate_before,
    from searched
    window rounds_of_question as (partition by campaign, question_id order by round)
)

select
    campaign,
    question_id,
    question,
    source,
    round_before,
    moved.round,
    if(is_solved, 'solved now', 'lost again') as what,
    pass_rate_before,
    pass_rate,
from moved
inner join questions using (campaign, round, question_id)
where is_solved <> was_solved
order by all

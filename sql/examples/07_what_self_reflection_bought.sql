-- How much does a second look help? Attempts and correct answers by trial of the rollouts.
select
    round,
    trial,
    count(*) as attempts,
    round(avg(is_correct::int), 3) as correct,
    count(*) filter (where is_leaked) as leaked,
    round(avg(generated_tokens)) as tokens_per_attempt,
from rollouts
where error is null
group by all
order by all

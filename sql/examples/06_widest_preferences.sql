-- What does a critical step look like? The pairs with the widest gap among well-visited steps.
select
    round,
    depth,
    round(gap, 2) as gap,
    chosen_visits,
    rejected_visits,
    question,
    chosen,
    rejected,
from step_preferences
where kind in ('plan', 'step')
order by least(chosen_visits, rejected_visits) >= 5 desc, gap desc, pair_id
limit 5

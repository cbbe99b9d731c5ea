-- What does a critical step look like? The pairs with the widest gap among well-visited steps.
with widest as (
    select *, least(chosen_visits, rejected_visits) >= 5 as is_tried, chosen_value - rejected_value as gap
    from preferences
    where kind in ('plan', 'step')
    order by is_tried desc, gap desc, pair_id
    limit 5
)

select
    widest.round,
    widest.depth,
    round(gap, 2) as gap,
    chosen_visits,
    rejected_visits,
    question,
    chosen.text as chosen,
    rejected.text as rejected,
from widest
inner join questions using (campaign, round, question_id)
inner join nodes as chosen
    on (widest.campaign, widest.round, widest.tree_id, widest.chosen_id) = (chosen.campaign, chosen.round, chosen.tree_id, chosen.node_id)
inner join nodes as rejected
    on (widest.campaign, widest.round, widest.tree_id, widest.rejected_id) = (rejected.campaign, rejected.round, rejected.tree_id, rejected.node_id)
order by is_tried desc, gap desc, pair_id

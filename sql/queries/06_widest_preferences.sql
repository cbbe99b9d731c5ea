-- What does a critical step look like? The pairs with the widest gap among well-visited steps.
with widest as (
    select *, least(chosen_visits, rejected_visits) >= 5 as is_tried, chosen_value - rejected_value as gap
    from preferences
    where kind in ('plan', 'step')
    qualify row_number() over (partition by campaign, round, tree_id, chosen_id, rejected_id order by lesson) = 1
    order by is_tried desc, gap desc, campaign, round, pair_id
    limit 5
)

select
    widest.campaign,
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
    on
        widest.campaign = chosen.campaign
        and widest.round = chosen.round
        and widest.tree = chosen.tree
        and widest.chosen_id = chosen.node_id
inner join nodes as rejected
    on
        widest.campaign = rejected.campaign
        and widest.round = rejected.round
        and widest.tree = rejected.tree
        and widest.rejected_id = rejected.node_id
order by is_tried desc, gap desc, widest.campaign, widest.round, pair_id

-- What does a critical step look like? The pairs with the widest gap among well-visited steps.
with compared as (
    select campaign, round, lesson, tree, question_id, depth, chosen_id, rejected_id, chosen_visits, rejected_visits,
        least(chosen_visits, rejected_visits) >= 5 as is_tried,
        chosen_value - rejected_value as gap,
    from preferences
    where kind in ('plan', 'step')
    order by is_tried desc, gap desc, campaign, round, tree, chosen_id, rejected_id, lesson
    limit 1000 -- a pair has a row in each lesson, and to tell all pairs apart takes seconds of ten million
),

widest as (
    from compared
    qualify row_number() over (partition by campaign, round, tree, chosen_id, rejected_id order by gap desc, lesson) = 1
    order by is_tried desc, gap desc, campaign, round, tree, chosen_id, rejected_id
    limit 5
),

worded as ( -- both sides at once: most of the time goes to reading what they say
    select widest.*, max(text) filter (node_id = chosen_id) as chosen, max(text) filter (node_id = rejected_id) as rejected
    from widest
    inner join nodes
        on
            widest.campaign = nodes.campaign
            and widest.round = nodes.round
            and widest.tree = nodes.tree
            and nodes.node_id in (widest.chosen_id, widest.rejected_id)
    group by all
)

select
    campaign,
    round,
    depth,
    round(gap, 2) as gap,
    chosen_visits,
    rejected_visits,
    question,
    chosen,
    rejected,
from worded
inner join questions using (campaign, round, question_id)
order by is_tried desc, worded.gap desc, campaign, worded.round, tree, chosen_id, rejected_id

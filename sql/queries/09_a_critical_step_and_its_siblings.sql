-- What else could have been done there? The three most critical pairs of steps: question, what was done before, and every sibling with its Q, V, prior and visits.
with widest as (
    select campaign, round, tree, tree_id, question_id, parent_id, max(chosen_value - rejected_value) as gap
    from preferences
    where kind in ('plan', 'step') and least(chosen_visits, rejected_visits) >= 3
    group by all
    order by gap desc, campaign, round, tree_id, parent_id
    limit 3
)

select
    widest.campaign,
    widest.round,
    round(gap, 2) as gap,
    questions.question,
    parent.path as path_before,
    sibling.node_id,
    sibling.kind,
    sibling.text,
    round(sibling.q, 2) as q,
    round(sibling.value, 2) as v,
    round(sibling.prior, 2) as prior,
    sibling.visits,
    round(sibling.outcome, 2) as outcome,
from widest
inner join questions using (campaign, round, question_id)
inner join nodes as parent
    on
        widest.campaign = parent.campaign
        and widest.round = parent.round
        and widest.tree = parent.tree
        and widest.parent_id = parent.node_id
inner join nodes as sibling
    on
        widest.campaign = sibling.campaign
        and widest.round = sibling.round
        and widest.tree = sibling.tree
        and widest.parent_id = sibling.parent_id
order by gap desc, widest.campaign, widest.round, widest.tree_id, widest.parent_id, q desc

-- A tree's nodes, expansions, visits and value are those of its nodes.
with totals as (
    select
        campaign,
        round,
        tree_id,
        count(*) as nodes,
        count(*) filter (where is_expanded) as expansions,
        max(visits) filter (where node_id = 0) as visits,
        max(q) filter (where node_id = 0) as value,
    from nodes
    group by all
)

select
    trees.campaign,
    trees.round,
    trees.tree_id,
    trees.nodes,
    trees.expansions,
    trees.visits,
    trees.value,
    coalesce(totals.nodes, 0) as nodes_found,
    coalesce(totals.expansions, 0) as expansions_found,
    coalesce(totals.visits, 0) as root_visits,
    totals.value as root_q,
from trees
left join totals using (campaign, round, tree_id)
where
    trees.nodes <> nodes_found
    or trees.expansions <> expansions_found
    or trees.visits <> root_visits
    or trees.value <> root_q

-- A tree's nodes, expansions, visits, value and undecided answers are those of its nodes (where rollouts count, which are no nodes, at least as many).
with totals as (
    select
        campaign,
        round,
        tree_id,
        count(*) as nodes,
        count(*) filter (where is_expanded) as expansions,
        max(visits) filter (where node_id = 0) as visits,
        max(q) filter (where node_id = 0) as value,
        count(*) filter (where kind = 'undecided') as undecided,
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
    trees.undecided,
    coalesce(totals.nodes, 0) as nodes_found,
    coalesce(totals.expansions, 0) as expansions_found,
    coalesce(totals.visits, 0) as root_visits,
    totals.value as root_q,
    coalesce(totals.undecided, 0) as undecided_found,
from trees
left join totals using (campaign, round, tree_id)
where
    trees.nodes <> nodes_found
    or trees.expansions <> expansions_found
    or trees.visits <> root_visits
    or trees.value <> root_q
    or if(trees.backup = 'rollouts', trees.undecided < undecided_found, trees.undecided <> undecided_found)

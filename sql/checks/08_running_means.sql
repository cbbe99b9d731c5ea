-- The Q of an expanded node is the mean of its own value (0 at the root; none where trajectories count) and of all values backed up through its children; Q is null exactly where nothing was (where rollouts count, which are no column, that alone is checked).
with below as (
    select
        campaign,
        round,
        tree_id,
        parent_id as node_id,
        sum(visits)::bigint as visits,
        sum(q * visits) as total,
    from nodes
    group by all
)

select
    nodes.campaign,
    nodes.round,
    nodes.tree_id,
    nodes.node_id,
    nodes.visits,
    nodes.q,
    (trees.backup <> 'trajectories')::int as own_visits,
    if(nodes.kind = 'root', 0, nodes.value) as own_value,
    (if(own_visits > 0, own_value, 0) + coalesce(below.total, 0)) / (own_visits + coalesce(below.visits, 0)) as mean,
from nodes
inner join trees using (campaign, round, tree_id)
left join below using (campaign, round, tree_id, node_id)
where
    (nodes.q is null) <> (nodes.visits = 0)
    or (trees.backup <> 'rollouts' and nodes.is_expanded and nodes.visits > 0 and (abs(nodes.q - mean) <= 1e-6) is not true)

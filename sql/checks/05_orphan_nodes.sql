-- A node belongs to a tree and hangs, one level deeper, on a node of that tree; only the root hangs on nothing.
select
    node.campaign,
    node.round,
    node.tree_id,
    node.node_id,
    node.parent_id,
    node.depth,
    parent.depth as parent_depth,
    trees.tree_id is not null as has_tree,
from nodes as node
left join trees using (campaign, round, tree_id)
left join nodes as parent
    on
        node.campaign = parent.campaign
        and node.round = parent.round
        and node.tree_id = parent.tree_id
        and node.parent_id = parent.node_id
where
    trees.tree_id is null
    or case
        when node.node_id = 0 then node.parent_id is not null or node.depth <> 0 or node.kind <> 'root'
        else parent.node_id is null or node.depth <> parent.depth + 1 or node.kind = 'root'
    end

-- A step has a hint where its origin says so (a solution and what is too deep never), in trees of the method reflect alone; nothing else leaks.
select nodes.campaign, nodes.round, nodes.tree_id, nodes.node_id, trees.method, nodes.kind, nodes.origin, nodes.hint
from nodes
inner join trees using (campaign, round, tree_id)
where
    (nodes.origin = 'hint' and trees.method <> 'reflect')
    or (nodes.kind = 'leaked' and nodes.origin <> 'hint')
    or case
        when nodes.origin = 'hint' and nodes.kind in ('plan', 'leaked') then nodes.hint is null
        when nodes.origin = 'hint' and nodes.kind = 'malformed' then false
        else nodes.hint is not null
    end

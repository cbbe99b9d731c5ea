-- A step has a hint where its origin says so (a solution and what is too deep never), in trees that count trajectories alone; nothing else leaks.
select nodes.campaign, nodes.round, nodes.tree_id, nodes.node_id, trees.backup, nodes.kind, nodes.origin, nodes.hint
from nodes
inner join trees using (campaign, round, tree_id)
where
    (nodes.origin = 'hint' and trees.backup <> 'trajectories')
    or (nodes.kind = 'leaked' and nodes.origin <> 'hint')
    or case
        when nodes.origin = 'hint' and nodes.kind in ('plan', 'step', 'leaked') then nodes.hint is null
        when nodes.origin = 'hint' and nodes.kind = 'malformed' then false
        else nodes.hint is not null
    end

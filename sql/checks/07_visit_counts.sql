-- A node's visit count is the sum of its children's plus its own: one once it is expanded or terminal (of a too deep one, the samples that it stands for; of an undecided or leaked one, none; of trees that count trajectories, none but a terminal's; of those that count rollouts its own, at least one below the root, if any is known).
with below as (
    select campaign, round, tree_id, parent_id as node_id, sum(visits)::bigint as visits
    from nodes
    group by all
)

select
    nodes.campaign,
    nodes.round,
    nodes.tree_id,
    nodes.node_id,
    nodes.visits,
    coalesce(below.visits, 0) as visits_of_children,
    (nodes.is_expanded or nodes.reward is not null)::int as own_visits,
from nodes
inner join trees using (campaign, round, tree_id)
left join below using (campaign, round, tree_id, node_id)
where
    case
        when nodes.kind in ('undecided', 'leaked') then nodes.visits <> 0
        when trees.backup = 'rollouts' then nodes.visits < visits_of_children + (nodes.node_id > 0 and nodes.visits > 0)::int
        when nodes.kind = 'too_deep' then nodes.visits < 1
        when trees.backup = 'trajectories'
            then if(nodes.reward is null, nodes.visits <> visits_of_children, nodes.visits < 1)
        else nodes.visits <> visits_of_children + own_visits
    end

-- A path that is imitated ends in a correct solution; no plan that was told the answer has one.
select
    examples.campaign,
    examples.round,
    examples.lesson,
    examples.example_id,
    examples.tree_id,
    examples.leaf_id,
    leaf.kind,
    leaf.reward,
from imitations as examples
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
where examples.weight > 0 and (leaf.kind = 'solution' and leaf.reward > 0) is not true

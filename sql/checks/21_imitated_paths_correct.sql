-- A path that is imitated ends in a correct solution, and no plan that was told the answer has one; or in a step that its search scored, with a weight of that sign.
select
    examples.campaign,
    examples.round,
    examples.lesson,
    examples.example_id,
    examples.tree_id,
    examples.leaf_id,
    leaf.kind,
    leaf.reward,
    leaf.score,
from imitations as examples
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
where
    examples.weight <> 0
    and (examples.weight > 0 and leaf.kind = 'solution' and leaf.reward > 0) is not true
    and (examples.weight * leaf.score > 0 and len(examples.value_positions) = 0) is not true

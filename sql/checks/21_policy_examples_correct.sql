-- An example that the policy learns ends in a correct solution.
select
    examples.campaign,
    examples.round,
    examples.example_id,
    examples.tree_id,
    examples.leaf_id,
    leaf.kind,
    leaf.reward,
from sft_examples as examples
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
where examples.is_policy and (leaf.kind = 'solution' and leaf.reward > 0) is not true

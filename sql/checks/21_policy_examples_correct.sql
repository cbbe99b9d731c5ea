-- An example that the policy learns ends in a correct solution, or is a correct rollout whose plan was not told the answer.
select
    examples.campaign,
    examples.round,
    examples.example_id,
    examples.tree_id,
    examples.leaf_id,
    examples.rollout_id,
    leaf.kind,
    leaf.reward,
    rollouts.is_correct,
from sft_examples as examples
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
left join rollouts
    on
        examples.campaign = rollouts.campaign
        and examples.round = rollouts.round
        and examples.rollout_id = rollouts.rollout_id
where examples.is_policy and ((leaf.kind = 'solution' and leaf.reward > 0) or (rollouts.is_correct and not rollouts.is_leaked)) is not true

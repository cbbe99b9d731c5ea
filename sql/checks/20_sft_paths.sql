-- An SFT example is its question's prompt and the actions from there to its leaf, those in its tree's prompt included, or a rollout of it, as its origin says (one more token, the end of sequence, where the policy learns it), with one target for each value position.
select
    examples.campaign,
    examples.round,
    examples.example_id,
    examples.tree_id,
    examples.leaf_id,
    examples.rollout_id,
    examples.is_policy,
    examples.prompt_ids,
    examples.completion_ids,
    if(
        examples.rollout_id is null,
        trees.prompt_ids || paths.token_ids,
        trees.prompt_ids || rollouts.plan_ids || rollouts.solution_ids
    ) as path_ids,
    examples.value_positions,
    examples.value_targets,
from sft_examples as examples
left join trees using (campaign, round, tree_id)
left join trees as questions
    on
        examples.campaign = questions.campaign
        and examples.round = questions.round
        and examples.question_id = questions.question_id
        and questions.steps = 0
left join rollouts
    on
        examples.campaign = rollouts.campaign
        and examples.round = rollouts.round
        and examples.question_id = rollouts.question_id
        and examples.rollout_id = rollouts.rollout_id
left join tree_paths as paths
    on
        examples.campaign = paths.campaign
        and examples.round = paths.round
        and examples.tree_id = paths.tree_id
        and examples.leaf_id = paths.node_id
where
    (
        (examples.leaf_id is null) = (examples.rollout_id is not null)
        and (examples.rollout_id is not null or trees.state <> 'skipped')
        and examples.origin = case
            when examples.rollout_id is null then 'tree'
            when rollouts.reflection is null then 'rollout'
            else 'reflection'
        end
        and examples.prompt_ids = questions.prompt_ids
        and (examples.prompt_ids || examples.completion_ids)[:len(path_ids)] = path_ids
        and len(examples.prompt_ids || examples.completion_ids) = len(path_ids) + examples.is_policy::int
        and len(examples.value_positions) = len(examples.value_targets)
        and coalesce(list_min(examples.value_positions), 0) >= 0
        and coalesce(list_max(examples.value_positions), 0) < len(path_ids) - len(examples.prompt_ids)
    ) is not true

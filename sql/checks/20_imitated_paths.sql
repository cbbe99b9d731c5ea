-- An imitation is its question's prompt, or its tree's, and the actions from there to its leaf (one more token, the end of sequence, where a solution has a weight), with one target for each value position.
select
    examples.campaign,
    examples.round,
    examples.lesson,
    examples.example_id,
    examples.tree_id,
    examples.leaf_id,
    examples.origin,
    leaf.origin as origin_of_leaf,
    examples.weight,
    examples.prompt_ids,
    examples.completion_ids,
    trees.prompt_ids || paths.token_ids as path_ids,
    examples.value_positions,
    examples.value_targets,
from imitations as examples
left join trees using (campaign, round, tree_id)
left join trees as questions
    on
        examples.campaign = questions.campaign
        and examples.round = questions.round
        and examples.question_id = questions.question_id
        and trees.evidence = questions.evidence
        and questions.steps = 0
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
left join tree_paths as paths
    on
        examples.campaign = paths.campaign
        and examples.round = paths.round
        and examples.tree_id = paths.tree_id
        and examples.leaf_id = paths.node_id
where
    (
        examples.origin = leaf.origin
        and (examples.prompt_ids = questions.prompt_ids or examples.prompt_ids = trees.prompt_ids)
        and (examples.prompt_ids || examples.completion_ids)[:len(path_ids)] = path_ids
        and len(examples.prompt_ids || examples.completion_ids) = len(path_ids) + (examples.weight <> 0 and leaf.kind = 'solution')::int
        and len(examples.value_positions) = len(examples.value_targets)
        and coalesce(list_min(examples.value_positions), 0) >= 0
        and coalesce(list_max(examples.value_positions), 0) < len(path_ids) - len(examples.prompt_ids)
    ) is not true

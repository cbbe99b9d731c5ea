-- An imitation's prompt is that of its question, or its tree's own, in words and in tokens; the end of sequence follows a solution with a weight, and nothing else; each value position lies behind the prompt and has one target.
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
    examples.eos,
    examples.prompt_tokens,
    examples.prompt_characters,
    len(trees.prompt_ids) as tokens_of_tree,
    tree_paths.tokens + tokens_of_tree - examples.prompt_tokens as tokens_learnt,
    examples.value_positions,
    examples.value_targets,
from imitations as examples
left join trees using (campaign, round, tree_id)
left join nodes as root
    on (examples.campaign, examples.round, examples.tree_id, 0) = (root.campaign, root.round, root.tree_id, root.node_id)
left join trees as asked
    on
        examples.campaign = asked.campaign
        and examples.round = asked.round
        and examples.question_id = asked.question_id
        and trees.evidence = asked.evidence
        and asked.steps = 0
left join nodes as asked_root
    on (asked.campaign, asked.round, asked.tree_id, 0) = (asked_root.campaign, asked_root.round, asked_root.tree_id, asked_root.node_id)
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
left join tree_paths
    on
        examples.campaign = tree_paths.campaign
        and examples.round = tree_paths.round
        and examples.tree_id = tree_paths.tree_id
        and examples.leaf_id = tree_paths.node_id
where
    (
        examples.origin = leaf.origin
        and (
            (examples.prompt_tokens, examples.prompt_characters) = (len(root.token_ids), length(root.text))
            or root.token_ids[: examples.prompt_tokens] = asked_root.token_ids
            and left(root.text, examples.prompt_characters) = asked_root.text
        )
        and (examples.eos is not null) = (examples.weight <> 0 and leaf.kind = 'solution')
        and len(examples.value_positions) = len(examples.value_targets)
        and coalesce(list_min(examples.value_positions), 0) >= 0
        and coalesce(list_max(examples.value_positions), 0) < tokens_learnt
    ) is not true

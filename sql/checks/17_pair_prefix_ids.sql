-- A pair's prompt ids are its tree's prompt ids and the token ids of all actions from the root to the pair's parent.
select
    pairs.campaign,
    pairs.round,
    pairs.pair_id,
    pairs.tree_id,
    pairs.parent_id,
    pairs.prompt_ids,
    trees.prompt_ids || paths.token_ids as expected,
from preferences as pairs
left join trees using (campaign, round, tree_id)
left join tree_paths as paths
    on
        pairs.campaign = paths.campaign
        and pairs.round = paths.round
        and pairs.tree_id = paths.tree_id
        and pairs.parent_id = paths.node_id
where pairs.prompt_ids is distinct from expected

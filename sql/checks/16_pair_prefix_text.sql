-- A pair's prompt is its question's prompt and the texts of all actions from the root to the pair's parent.
select
    pairs.campaign,
    pairs.round,
    pairs.pair_id,
    pairs.tree_id,
    pairs.parent_id,
    pairs.prompt,
    root.text || paths.text as expected,
from preferences as pairs
left join nodes as root
    on
        pairs.campaign = root.campaign
        and pairs.round = root.round
        and pairs.tree_id = root.tree_id
        and root.node_id = 0
left join tree_paths as paths
    on
        pairs.campaign = paths.campaign
        and pairs.round = paths.round
        and pairs.tree_id = paths.tree_id
        and pairs.parent_id = paths.node_id
where pairs.prompt is distinct from expected

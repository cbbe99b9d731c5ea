-- Both sides of a pair continue its parent, each to a step or a solution that is not on the other's path; its kind is that of both where they are single steps of one kind, else continuation.
select
    pairs.campaign,
    pairs.round,
    pairs.pair_id,
    pairs.tree_id,
    pairs.parent_id,
    pairs.kind,
    pairs.chosen_id,
    chosen.kind as chosen_kind,
    chosen.path as chosen_path,
    pairs.rejected_id,
    rejected.kind as rejected_kind,
    rejected.path as rejected_path,
    if(
        chosen.parent_id = pairs.parent_id and rejected.parent_id = pairs.parent_id and chosen_kind = rejected_kind,
        chosen_kind,
        'continuation'
    ) as expected,
from preferences as pairs
left join nodes as chosen
    on (pairs.campaign, pairs.round, pairs.tree_id, pairs.chosen_id) = (chosen.campaign, chosen.round, chosen.tree_id, chosen.node_id)
left join nodes as rejected
    on (pairs.campaign, pairs.round, pairs.tree_id, pairs.rejected_id) = (rejected.campaign, rejected.round, rejected.tree_id, rejected.node_id)
where
    (
        list_contains(chosen_path[:-2], pairs.parent_id)
        and list_contains(rejected_path[:-2], pairs.parent_id)
        and not list_contains(chosen_path, pairs.rejected_id)
        and not list_contains(rejected_path, pairs.chosen_id)
        and chosen_kind in ('plan', 'step', 'solution')
        and rejected_kind in ('plan', 'step', 'solution')
        and pairs.kind = expected
    ) is not true

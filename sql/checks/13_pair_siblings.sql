-- The chosen and the rejected step of a pair are two children of its parent, both of the pair's kind.
select
    pairs.campaign,
    pairs.round,
    pairs.pair_id,
    pairs.tree_id,
    pairs.parent_id,
    pairs.kind,
    pairs.chosen_id,
    chosen.parent_id as chosen_parent_id,
    chosen.kind as chosen_kind,
    pairs.rejected_id,
    rejected.parent_id as rejected_parent_id,
    rejected.kind as rejected_kind,
from preferences as pairs
left join nodes as chosen
    on
        pairs.campaign = chosen.campaign
        and pairs.round = chosen.round
        and pairs.tree_id = chosen.tree_id
        and pairs.chosen_id = chosen.node_id
left join nodes as rejected
    on
        pairs.campaign = rejected.campaign
        and pairs.round = rejected.round
        and pairs.tree_id = rejected.tree_id
        and pairs.rejected_id = rejected.node_id
where
    (
        pairs.chosen_id <> pairs.rejected_id
        and chosen.parent_id = pairs.parent_id
        and rejected.parent_id = pairs.parent_id
        and chosen.kind = pairs.kind
        and rejected.kind = pairs.kind
    ) is not true

-- Text and token ids of a pair's sides are those of the actions from its parent to their last node, and their Q is that node's.
with sides as (
    select
        campaign, round, pair_id, tree_id, parent_id,
        chosen_id as node_id, chosen as text, chosen_ids as token_ids, chosen_q as q,
    from preferences
    union all
    select
        campaign, round, pair_id, tree_id, parent_id,
        rejected_id, rejected, rejected_ids, rejected_q,
    from preferences
)

select
    sides.campaign,
    sides.round,
    sides.pair_id,
    sides.tree_id,
    sides.parent_id,
    sides.node_id,
    sides.q,
    nodes.q as node_q,
    before.text || sides.text as text,
    whole.text as text_of_path,
    before.token_ids || sides.token_ids as token_ids,
    whole.token_ids as token_ids_of_path,
from sides
inner join nodes using (campaign, round, tree_id, node_id)
inner join tree_paths as whole using (campaign, round, tree_id, node_id)
inner join tree_paths as before
    on
        sides.campaign = before.campaign
        and sides.round = before.round
        and sides.tree_id = before.tree_id
        and sides.parent_id = before.node_id
where
    before.text || sides.text is distinct from whole.text
    or before.token_ids || sides.token_ids is distinct from whole.token_ids
    or sides.q is distinct from nodes.q

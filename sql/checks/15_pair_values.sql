-- The Q of a pair's sides are those of their nodes.
select
    pairs.campaign,
    pairs.round,
    pairs.pair_id,
    pairs.tree_id,
    pairs.chosen_q,
    chosen.q as chosen_node_q,
    pairs.rejected_q,
    rejected.q as rejected_node_q,
from preferences as pairs
inner join nodes as chosen
    on (pairs.campaign, pairs.round, pairs.tree_id, pairs.chosen_id) = (chosen.campaign, chosen.round, chosen.tree_id, chosen.node_id)
inner join nodes as rejected
    on (pairs.campaign, pairs.round, pairs.tree_id, pairs.rejected_id) = (rejected.campaign, rejected.round, rejected.tree_id, rejected.node_id)
where pairs.chosen_q is distinct from chosen.q or pairs.rejected_q is distinct from rejected.q

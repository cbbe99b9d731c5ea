-- The nodes of some trees, in the order of their creation.
select
    tree_id,
    node_id,
    parent_id,
    kind,
    origin,
    hint,
    text,
    len(token_ids) as tokens,
    prior,
    value,
    visits,
    q,
    reward,
    score,
    answer,
from nodes
where (campaign, round) = ($campaign, $round) and tree_id in (select unnest($trees))
order by tree_id, node_id

-- Text, token ids and Q of a pair's steps are those of their nodes.
with steps as (
    select
        campaign, round, pair_id, tree_id,
        chosen_id as node_id, chosen as text, chosen_ids as token_ids, chosen_q as q,
    from preferences
    union all
    select
        campaign, round, pair_id, tree_id,
        rejected_id, rejected, rejected_ids, rejected_q,
    from preferences
)

select
    campaign,
    round,
    pair_id,
    tree_id,
    node_id,
    steps.q,
    nodes.q as node_q,
    steps.text,
    nodes.text as node_text,
    steps.token_ids,
    nodes.token_ids as node_token_ids,
from steps
inner join nodes using (campaign, round, tree_id, node_id)
where (steps.text, steps.token_ids, steps.q) is distinct from (nodes.text, nodes.token_ids, nodes.q)

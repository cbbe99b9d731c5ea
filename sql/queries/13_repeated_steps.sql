-- Which plan steps are written again and again? Duplicates, and near-duplicates: the same words with other numbers, case or white space.
select
    repeated_steps.campaign,
    repeated_steps.round,
    copies,
    texts,
    questions,
    round(mean_q, 2) as mean_q,
    nodes.text as for_example,
from (from repeated_steps order by copies desc, tree_id, node_id limit 20) as repeated_steps
inner join nodes using (campaign, round, tree, node_id)
order by copies desc, nodes.tree_id, node_id

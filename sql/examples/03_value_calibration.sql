-- Does V mean what it says? What became of steps (mean reward of the terminals below; not Q, in which V itself is) by the value that the policy gave them.
with ends as (
    select
        paths.campaign,
        paths.round,
        paths.tree_id,
        unnest(paths.path) as node_id,
        terminal.reward,
        terminal.visits,
    from tree_paths as paths
    inner join nodes as terminal using (campaign, round, tree_id, node_id)
    where terminal.reward is not null
),

outcomes as (
    select campaign, round, tree_id, node_id, sum(reward * visits) / sum(visits) as outcome
    from ends
    group by all
)

select
    round,
    is_held_out,
    floor(least(nodes.value, 0.999) * 5) / 5 as value_from,
    value_from + 0.2 as value_to,
    count(*) as nodes,
    round(avg(nodes.value), 2) as mean_value,
    round(avg(outcome), 2) as mean_outcome,
    round(avg((outcome > 0)::int), 2) as share_good,
from nodes
inner join trees using (campaign, round, tree_id)
inner join outcomes using (campaign, round, tree_id, node_id)
where nodes.kind in ('plan', 'step') and nodes.value is not null
group by all
order by all

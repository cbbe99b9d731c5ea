-- Does V mean what it says? What became of steps (mean reward of the terminals below, or of a step's rollouts, without V) by the V that they were given, by search, depth and round: in one round a value model may judge one search, and the policy itself another.
select
    campaign,
    round,
    evidence,
    is_held_out,
    depth,
    floor(least(nodes.value, 0.999) * 5) / 5 as value_from,
    value_from + 0.2 as value_to,
    count(*) as nodes,
    round(avg(nodes.value), 2) as mean_value,
    round(avg(outcome), 2) as mean_outcome,
    round(avg((outcome > 0)::int), 2) as share_good,
from nodes
inner join trees using (campaign, round, tree_id)
where nodes.kind in ('plan', 'step') and nodes.value is not null and outcome is not null
group by all
order by all

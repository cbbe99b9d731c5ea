-- Does V mean what it says? Tree Q of the expanded plan steps by the value that the policy gave them.
select
    round,
    is_held_out,
    floor(least(nodes.value, 0.999) * 5) / 5 as value_from,
    value_from + 0.2 as value_to,
    count(*) as nodes,
    round(avg(nodes.value), 2) as mean_value,
    round(avg(nodes.q), 2) as mean_q,
    round(avg((nodes.q > 0)::int), 2) as share_good,
from nodes
inner join trees using (campaign, round, tree_id)
where nodes.kind = 'plan' and nodes.is_expanded
group by all
order by all

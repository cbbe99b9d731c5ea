-- How do plan steps begin, and which beginnings lead anywhere? Clusters by their first three words.
select
    campaign,
    round,
    opening,
    nodes,
    round(mean_value, 2) as mean_v,
    round(mean_outcome, 2) as mean_outcome,
    round(nodes / steps, 4) as share,
from step_openings
inner join (select campaign, round, count(*) as steps from nodes where kind in ('plan', 'step') group by all)
    using (campaign, round)
qualify row_number() over (partition by campaign, round order by nodes desc, opening) <= 20
order by campaign, round, nodes desc, opening

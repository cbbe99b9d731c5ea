-- How V ranks siblings.
select value_rankings.* exclude (campaign, round)
from value_rankings
inner join models using (campaign, round, model)
where (campaign, round) = ($campaign, $round)
order by ordinal, kind

-- Every model against the base, and the policy of the next round against every other.
select model_comparisons.* exclude (campaign, round)
from model_comparisons
inner join models using (campaign, round, model)
inner join models as others on (others.campaign, others.round, others.model) = (campaign, round, other)
where (campaign, round) = ($campaign, $round) and (other = 'base' or models.is_next)
order by split, benchmark, other <> 'base', models.ordinal, others.ordinal

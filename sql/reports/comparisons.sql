-- Every model against the base and its like of the round before, and the policy of the next round against every other.
select model_comparisons.* exclude (campaign, round) replace (nullif(other_round, round) as other_round)
from model_comparisons
inner join models using (campaign, round, model)
inner join models as others on (others.campaign, others.round, others.model) = (campaign, other_round, other)
where
    (campaign, round) = ($campaign, $round)
    and (other = 'base' or models.is_next or other_round <> round)
    and (other_round = round or model <> 'base')
order by split, benchmark, form, metric, other_round desc, other <> 'base', models.ordinal, others.ordinal

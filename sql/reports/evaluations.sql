-- What the models of a round answered rightly.
select evaluations.* exclude (campaign, round)
from evaluations
inner join models using (campaign, round, model)
where (campaign, round) = ($campaign, $round)
order by split, benchmark, form, metric, kind, ordinal

-- Accuracy against tokens, where whole trajectories were sampled.
select evaluation_curves.* exclude (campaign, round)
from evaluation_curves
inner join models using (campaign, round, model)
where (campaign, round) = ($campaign, $round)
order by split, benchmark, ordinal, decoding, samples

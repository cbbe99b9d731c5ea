-- How the engine was used: the searches, then the evaluations.
select * exclude (campaign, round)
from engine_efficiency
where (campaign, round) = ($campaign, $round)
order by starts_with(stage, 'evaluate_'), stage

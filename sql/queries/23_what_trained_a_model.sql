-- What trained a model? Every stage that a policy or value was made of, directly or through other models, in whatever round.
select lineage.*
from lineage
inner join models on (models.campaign, models.round, models.model) = (lineage.campaign, lineage.round, lineage.stage)
order by all

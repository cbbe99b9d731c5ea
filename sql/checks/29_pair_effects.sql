-- What training did is told of every pair that a model was trained on, or of none, and by the pair's own kind and gap.
select 'pair_effects' as what, campaign, round, model, count(*) || ' of ' || any_value(examples) || ' pairs' as told
from pair_effects
inner join models using (campaign, round, model)
group by campaign, round, model
having count(*) <> any_value(examples)
union all
select 'kind, gap', campaign, round, model, concat_ws(' ', pair_id, told.kind, told.gap)
from pair_effects as told
inner join preferences as pairs using (campaign, round, lesson, pair_id)
where told.kind <> pairs.kind or abs(told.gap - (chosen_value - rejected_value)) > 1e-9

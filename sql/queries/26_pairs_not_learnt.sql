-- Which preferences did training not teach? Those whose rejected side gained on the chosen one, though the model was trained on them.
select
    campaign,
    round,
    model,
    kind,
    round(gap, 2) as gap,
    round(chosen_after - chosen_before, 2) as chosen_change,
    round(rejected_after - rejected_before, 2) as rejected_change,
    round((chosen_after - chosen_before) - (rejected_after - rejected_before), 2) as margin_change,
    pair_id,
from pair_effects
where chosen_after - chosen_before < rejected_after - rejected_before
order by margin_change, campaign, round, model, pair_id
limit 20

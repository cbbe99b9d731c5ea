-- What did each pair do to the model? The pairs whose rejected side gained most on the chosen one, though they were trained on.
select
    campaign,
    round,
    model,
    kind,
    round(gap, 2) as gap,
    round(chosen_after - chosen_before, 2) as chosen_change,
    round(rejected_after - rejected_before, 2) as rejected_change,
    round((chosen_after - chosen_before) - (rejected_after - rejected_before), 2) as margin,
    pair_id,
from pair_effects
order by margin, campaign, round, model, pair_id
limit 20

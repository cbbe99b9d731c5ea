-- What did the training do to its pairs? Log-probs of both sides before and after, their margin over the reference, and in how many pairs it grew.
select
    model,
    kind,
    count(*) as pairs,
    avg(chosen_after - chosen_before) as chosen_change,
    avg(rejected_after - rejected_before) as rejected_change,
    avg(((chosen_after - rejected_after) > (chosen_before - rejected_before))::int) as widened,
    avg((chosen_after < chosen_before)::int) as chosen_fell,
    avg((chosen_before > rejected_before)::int) as right_before,
    avg((chosen_after > rejected_after)::int) as right_after,
from pair_effects
inner join models using (campaign, round, model)
where (campaign, round) = ($campaign, $round)
group by model, kind, ordinal
order by ordinal, kind

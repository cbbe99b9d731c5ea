-- Where do the critical steps sit? Advantage gap of the preferences by position.
select
    round,
    kind,
    depth,
    count(*) as pairs,
    round(avg(q_gap), 2) as mean_gap,
    round(quantile_cont(q_gap, 0.9), 2) as gap_p90,
    round(avg((rejected_prior > chosen_prior)::int), 2) as policy_preferred_wrong,
from step_preferences
group by all
order by all

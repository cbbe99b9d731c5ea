-- Where do the critical steps sit? Gap of the values of chosen and rejected, by position.
select
    campaign,
    round,
    lesson,
    kind,
    depth,
    count(*) as pairs,
    round(avg(chosen_value - rejected_value), 2) as mean_gap,
    round(approx_quantile(chosen_value - rejected_value, 0.9), 2) as gap_p90,
    round(avg((rejected_prior > chosen_prior)::int), 2) as policy_preferred_wrong,
from preferences
group by all
order by all

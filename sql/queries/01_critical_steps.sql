-- Where do the critical steps sit? Advantage gap of the preferences by position.
select
    round,
    kind,
    depth,
    count(*) as pairs,
    round(avg(chosen_q - rejected_q), 2) as mean_gap,
    round(approx_quantile(chosen_q - rejected_q, 0.9), 2) as gap_p90,
    round(avg((rejected_prior > chosen_prior)::int), 2) as policy_preferred_wrong,
from preferences
group by all
order by all

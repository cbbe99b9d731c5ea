-- Where do the critical steps sit? Pairs by the position of the step, and how often the policy preferred the wrong one.
select
    lesson,
    kind,
    depth,
    count(*) as pairs,
    avg(chosen_value - rejected_value) as mean_gap,
    stddev_samp(chosen_value - rejected_value) as sd_gap,
    avg((rejected_prior > chosen_prior)::int) as policy_preferred_wrong,
from preferences
where (campaign, round) = ($campaign, $round)
group by all
order by all

-- How wide are the margins of the loss, by kind of pair? And how often did the policy prefer the wrong side?
select
    campaign,
    round,
    lesson,
    kind,
    count(*) as pairs,
    round(avg(chosen_value - rejected_value), 3) as mean_margin,
    round(min(chosen_value - rejected_value), 3) as smallest,
    round(max(chosen_value - rejected_value), 3) as widest,
    round(avg((rejected_prior > chosen_prior)::int), 3) as policy_preferred_wrong,
from preferences
group by all
order by all

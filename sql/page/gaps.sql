-- How critical are the steps? Pairs by the advantage gap V_w - V_l of the loss.
select
    lesson,
    kind,
    floor(round(chosen_value - rejected_value, 6) * 10) / 10 as gap_from,
    count(*) as pairs,
from preferences
where (campaign, round) = ($campaign, $round)
group by all
order by all

-- Accuracy of this round's models, and of the policies that earlier rounds ended with.
select
    benchmark,
    split,
    form,
    metric,
    shots,
    evaluations.round,
    model,
    accuracy,
    accuracy_low,
    accuracy_high,
    stderr,
    n,
    is_next,
from evaluations
inner join models using (campaign, round, model)
where
    campaign = $campaign
    and kind = 'all'
    and (evaluations.round = $round or (evaluations.round < $round and is_next))
order by split, benchmark, form, metric, model <> 'base', evaluations.round, ordinal

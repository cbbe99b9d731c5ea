-- Accuracy of every model in every round.
select
    benchmark,
    split,
    form,
    metric,
    shots,
    coalesce(harness || ' ' || task_version, settings) as way,
    model,
    evaluations.round,
    accuracy,
    accuracy_low,
    accuracy_high,
    n,
    is_next,
from evaluations
inner join models using (campaign, round, model)
where campaign = $campaign and kind = 'all'
order by split, benchmark, form, metric, model <> 'base', ordinal, model, evaluations.round

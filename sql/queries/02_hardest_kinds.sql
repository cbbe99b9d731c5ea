-- Which kinds of question are hardest, and what did training change there? gain is over the questions that both answered.
select
    campaign,
    round,
    scored.benchmark,
    scored.kind,
    scored.n,
    round(base.accuracy, 3) as base,
    round(scored.accuracy, 3) as accuracy,
    round(scored.gain, 3) as gain,
    round(scored.gain_stderr, 3) as gain_stderr,
from accuracy_by_round as scored
inner join (select campaign, round, coalesce(same_as, model) as model from models where is_next) as next
    using (campaign, round, model)
left join (from accuracy_by_round where model = 'base') as base
    using (campaign, round, benchmark, split, form, metric, kind)
where scored.kind <> 'all' and scored.form = 'plan'
order by campaign, round, scored.benchmark, base.accuracy, scored.kind

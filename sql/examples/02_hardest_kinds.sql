-- Which kinds of question are hardest, and what did training change there?
select
    round,
    benchmark,
    kind,
    max(n) as n,
    round(max(accuracy) filter (where model = 'base'), 3) as base,
    round(max(accuracy) filter (where model = 'sft'), 3) as sft,
    round(max(accuracy) filter (where model = 'step_apo'), 3) as step_apo,
    round(max(gain) filter (where model = 'step_apo'), 3) as gain,
    round(max(gain_stderr) filter (where model = 'step_apo'), 3) as gain_stderr,
from accuracy_by_round
where kind <> 'all'
group by all
order by round, benchmark, base, kind

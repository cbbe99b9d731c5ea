-- Which kinds of question are hardest, and what did training change there?
select
    accuracy_by_round.round,
    benchmark,
    kind,
    n,
    round(accuracy - gain, 3) as base,
    round(accuracy, 3) as accuracy,
    round(gain, 3) as gain,
    round(gain_stderr, 3) as gain_stderr,
from accuracy_by_round
inner join models using (campaign, round, model)
where kind <> 'all' and is_next and form = 'plan'
order by accuracy_by_round.round, benchmark, base, kind

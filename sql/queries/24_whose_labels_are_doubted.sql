-- Which answers does another checker judge otherwise? The most frequent of those that both judged.
select campaign, round, origin, name, metric, gold, answer, ours, theirs, times
from second_opinions
where ours <> theirs and ours in ('right', 'wrong') and theirs in ('right', 'wrong')
order by times desc, campaign, round, origin, name, metric, gold, answer
limit 50

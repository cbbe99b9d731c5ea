-- Which answers does another checker judge otherwise? The most frequent disagreements.
select campaign, round, origin, name, metric, gold, answer, ours, theirs, times
from second_opinions
where ours <> theirs
order by times desc, campaign, round, origin, name, metric, gold, answer
limit 50

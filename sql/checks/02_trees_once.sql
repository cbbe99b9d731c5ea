-- A tree occurs once.
select campaign, round, tree_id, count(*) as copies
from trees
group by all
having count(*) > 1

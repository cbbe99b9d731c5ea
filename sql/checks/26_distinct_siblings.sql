-- Siblings differ, and not only by the white space around them.
select campaign, round, tree_id, parent_id, trim(text, E' \t\r\n') as step, count(*) as copies
from nodes
where parent_id is not null
group by all
having copies > 1

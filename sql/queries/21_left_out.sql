-- What was left out, question, path or pair, and why?
select campaign, round, unit, name, reason, n
from left_out
order by campaign, round, unit, name, n desc, reason

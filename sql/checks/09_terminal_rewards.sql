-- Terminals and only they have a reward, +1 or -1 (+1 for solutions alone), and it is their Q; an undecided or leaked one has none.
select campaign, round, tree_id, node_id, kind, reward, q, visits, is_expanded
from nodes
where
    if(
        kind in ('solution', 'malformed', 'too_deep'),
        (reward in (-1, 1) and q = reward and not is_expanded and (reward < 0 or kind = 'solution')) is not true,
        reward is not null
    )

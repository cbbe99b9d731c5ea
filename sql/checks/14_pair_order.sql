-- The Q of a pair's chosen side is above that of the rejected one, and so is its value; of solutions, whose values are scaled, it may be equal (scale 0).
select campaign, round, pair_id, tree_id, chosen_id, rejected_id, chosen_q, rejected_q, chosen_value, rejected_value
from preferences
where
    (
        chosen_q > rejected_q
        and if(kind = 'solution', chosen_value >= rejected_value, chosen_value > rejected_value)
    ) is not true

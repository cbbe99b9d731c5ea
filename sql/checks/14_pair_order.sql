-- A chosen step's value is above the rejected one's.
select campaign, round, pair_id, tree_id, chosen_id, rejected_id, chosen_q, rejected_q, chosen_value, rejected_value
from step_pairs
where (chosen_value > rejected_value and chosen_q > rejected_q) is not true

-- A pair occurs once, by its key and by the steps that it compares.
select campaign, round, tree_id, chosen_id, rejected_id, count(*) as copies, list(pair_id) as pair_ids
from step_pairs
group by all
having count(*) > 1
union all
select campaign, round, any_value(tree_id), any_value(chosen_id), any_value(rejected_id), count(*), [pair_id]
from step_pairs
group by campaign, round, pair_id
having count(*) > 1

-- A lesson has a pair once, by its key and by the steps that it compares.
select campaign, round, lesson, tree_id, chosen_id, rejected_id, count(*) as copies, list(pair_id) as pair_ids
from preferences
group by all
having count(*) > 1
union all
select campaign, round, lesson, any_value(tree_id), any_value(chosen_id), any_value(rejected_id), count(*), [pair_id]
from preferences
group by campaign, round, lesson, pair_id
having count(*) > 1

-- A value, a Q, a reward and a value target lie in [-1, 1].
select 'nodes' as table_name, campaign, round, concat_ws(' ', tree_id, node_id) as key, [value, q, reward] as numbers
from nodes
where value not between -1 and 1 or q not between -1 and 1 or reward not between -1 and 1
union all
select 'trees', campaign, round, tree_id, [value]
from trees
where value not between -1 and 1
union all
select 'preferences', campaign, round, concat_ws(' ', lesson, pair_id), [chosen_q, rejected_q, chosen_value, rejected_value]
from preferences
where
    chosen_q not between -1 and 1
    or rejected_q not between -1 and 1
    or chosen_value not between -1 and 1
    or rejected_value not between -1 and 1
union all
select 'imitations', campaign, round, concat_ws(' ', lesson, example_id), value_targets
from imitations
where list_min(value_targets) < -1 or list_max(value_targets) > 1

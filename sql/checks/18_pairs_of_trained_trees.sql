-- No pair comes from a held-out or a failed tree.
select campaign, round, pair_id, tree_id, trees.state, trees.is_held_out
from step_pairs
inner join trees using (campaign, round, tree_id)
where trees.is_held_out or trees.state = 'failed'

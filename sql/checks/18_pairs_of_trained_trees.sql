-- No pair comes from a held-out question or tree, or from a failed tree.
select campaign, round, pair_id, tree_id, trees.state, questions.is_held_out
from preferences
inner join trees using (campaign, round, tree_id, question_id)
inner join questions using (campaign, round, question_id)
where trees.is_held_out or questions.is_held_out or trees.state = 'failed'

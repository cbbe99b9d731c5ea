-- No SFT example comes from a held-out question or tree, and none but a rollout from one whose tree failed.
select campaign, round, example_id, tree_id, trees.state, questions.is_held_out
from sft_examples
inner join trees using (campaign, round, tree_id, question_id)
inner join questions using (campaign, round, question_id)
where trees.is_held_out or questions.is_held_out or (trees.state = 'failed' and sft_examples.rollout_id is null)

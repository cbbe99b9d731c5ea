-- A question that was searched is imitated from its right paths or, where its trees hold none, from one rollout; its other rollouts teach nothing.
select
    examples.campaign,
    examples.round,
    examples.question_id,
    list_distinct(list(trees.state)) as states,
    count(*) filter (where examples.is_policy and examples.origin = 'tree') as paths,
    count(*) filter (where examples.rollout_id is not null) as rollouts,
from sft_examples as examples
inner join trees using (campaign, round, tree_id)
group by examples.campaign, examples.round, examples.question_id
having bool_or(trees.state <> 'skipped') and (rollouts > 1 or (paths > 0 and rollouts > 0))

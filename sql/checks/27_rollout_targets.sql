-- A value target of a rollout is its reward, at its end, or the mean reward of the first attempts that share a step, on the last token of that step and where nothing was searched; no state of a question has two.
with targets as (
    select
        examples.campaign,
        examples.round,
        examples.example_id,
        examples.question_id,
        trees.state,
        unnest(examples.value_positions) as position,
        unnest(examples.value_targets) as target,
        position = len(rollouts.plan_ids) + len(rollouts.solution_ids) - 1 as is_end,
        if(
            is_end,
            rollouts.plan || rollouts.solution,
            array_to_string(
                string_split(rollouts.plan, E'</step>\n')[:list_position(rollouts.step_ends, position)], E'</step>\n'
            )
        ) as text,
        rollouts.is_correct,
    from sft_examples as examples
    inner join trees using (campaign, round, tree_id)
    inner join rollouts using (campaign, round, rollout_id)
),

passed as (
    select
        campaign,
        round,
        question_id,
        is_correct,
        unnest(
            [
                array_to_string(string_split(plan, E'</step>\n')[:step], E'</step>\n')
                for step in range(1, len(step_ends) + 1)
            ]
        ) as text,
    from rollouts
    where trial = 0 and is_correct is not null
),

means as (
    select campaign, round, question_id, text, avg(if(is_correct, 1, -1)) as reward
    from passed
    group by all
),

expected as (
    select
        targets.campaign,
        targets.round,
        targets.example_id,
        targets.position,
        targets.is_end,
        targets.state,
        targets.target,
        if(targets.is_end, if(targets.is_correct, 1, -1), means.reward) as reward,
        count(*) over (
            partition by targets.campaign, targets.round, targets.question_id, targets.text
        ) as targets_of_state,
    from targets
    left join means using (campaign, round, question_id, text)
)

from expected
where targets_of_state > 1 or (abs(target - reward) <= 1e-6 and (is_end or state = 'skipped')) is not true

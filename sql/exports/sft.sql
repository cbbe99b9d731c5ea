-- Imitated whole paths as TRL's SFTTrainer reads them (prompt, completion), with their targets of V and where each comes from.
select
    paths.prompt,
    paths.completion,
    paths.weight,
    paths.prompt_ids,
    paths.completion_ids,
    paths.value_positions,
    paths.value_targets,
    paths.origin,
    questions.question,
    questions.answer,
    questions.source,
    paths.campaign,
    paths.round,
    paths.lesson,
    paths.example_id,
    paths.tree_id,
    paths.question_id
from imitated_paths as paths
inner join questions using (campaign, round, question_id)
anti join ( -- of which a row is a step, or the end of a solution, behind those that its search had settled on
    select campaign, round, stage as lesson from stages where settings ->> '$.rule.rule' = 'scored_steps'
) using (campaign, round, lesson)
where paths.campaign = $campaign and paths.round = $round and paths.weight > 0
order by paths.lesson, paths.question_id, paths.example_id

create view rollouts as
with ends as (
    select
        nodes.campaign,
        nodes.round,
        trees.evidence,
        trees.question_id,
        nodes.tree,
        nodes.tree_id,
        nodes.node_id as end_id,
        nodes.kind,
        nodes.answer,
        nodes.reward,
        greatest(nodes.visits, 1) as times,
        if(
            nodes.origin = 'hint',
            row_number() over (
                partition by nodes.campaign, nodes.round, trees.question_id, nodes.tree_id, nodes.origin
                order by nodes.node_id
            ),
            0
        ) as trial,
        unnest(nodes.path) as node_id,
    from nodes
    inner join trees using (campaign, round, tree_id)
    where
        trees.backup = 'trajectories'
        and trees.state not in ('failed', 'skipped')
        and nodes.kind not in ('root', 'plan', 'step')
),

told as (
    select
        ends.* exclude (node_id),
        coalesce(
            string_agg(step.text, '' order by step.depth) filter (where step.depth > 0 and step.node_id <> ends.end_id), ''
        ) as plan,
        any_value(step.text) filter (where step.node_id = ends.end_id) as solution,
        max_by(step.hint, step.depth) as reflection,
        sum(len(step.token_ids)) filter (where step.depth > 0)::integer as tokens,
    from ends
    inner join nodes as step using (campaign, round, tree, node_id)
    group by all
)

select
    campaign,
    round,
    told.evidence,
    told.tree_id,
    told.end_id as node_id,
    question_id,
    questions.question,
    told.trial,
    told.times,
    told.plan,
    if(told.kind in ('solution', 'undecided'), told.solution, null) as solution,
    told.answer,
    told.reward > 0 as is_correct,
    told.kind = 'leaked' as is_leaked,
    if(told.trial > 0, told.reflection, null) as reflection,
    told.tokens,
from told
inner join questions using (campaign, round, question_id);

comment on view rollouts is 'One row per distinct trajectory of the searches that sample whole ones: plan, solution and verdict.';
comment on column rollouts.campaign is 'Campaign of the round.';
comment on column rollouts.round is 'Number of the round in its campaign, from 1.';
comment on column rollouts.evidence is 'Name of the search in the round''s recipe.';
comment on column rollouts.tree_id is 'Tree of the trajectory (trees).';
comment on column rollouts.node_id is 'Its last node (nodes).';
comment on column rollouts.question_id is 'Question that was attempted (questions).';
comment on column rollouts.question is 'Its text.';
comment on column rollouts.trial is '0: a first attempt; from 1: one under a hint on a failed one, in their order (LEPA: at most 4). An attempt that filled the context has no row.';
comment on column rollouts.times is 'How often these very words were sampled; 1 where that is not known, for nothing was decided.';
comment on column rollouts.plan is 'Its steps as text, those of the plan or, without one, of the solution.';
comment on column rollouts.solution is 'What follows the steps, as text: the plan''s end and the solution, or the end with the answer; null where the trajectory broke off, or its plan was too long or leaked.';
comment on column rollouts.answer is 'Content of the last \boxed{} of the solution; where a program is asked for, of its last block of code; null where there is none.';
comment on column rollouts.is_correct is 'The answer equals the gold answer, or the program passes its tests; null where the check could not decide, and where the plan leaked.';
comment on column rollouts.is_leaked is 'The plan states the gold answer that its hint told, in whatever notation, which LEPA forbids: no solution is asked for.';
comment on column rollouts.reflection is 'Why the attempt before failed, as the model wrote it, or the verdict, where no reflection was asked for; null in trial 0 and, rarely, where the same plan was written without.';
comment on column rollouts.tokens is 'Tokens of plan and solution, those of the reflection not counted.';

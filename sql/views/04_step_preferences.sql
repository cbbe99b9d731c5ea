create view step_preferences as
select
    pairs.campaign,
    pairs.round,
    pairs.lesson,
    pairs.pair_id,
    pairs.tree_id,
    pairs.question_id,
    questions.kinds,
    questions.level,
    questions.question,
    pairs.kind,
    pairs.depth,
    pairs.chosen,
    pairs.rejected,
    pairs.chosen_value,
    pairs.rejected_value,
    pairs.chosen_value - pairs.rejected_value as gap,
    pairs.chosen_q - pairs.rejected_q as q_gap,
    pairs.chosen_visits,
    pairs.rejected_visits,
    pairs.chosen_prior,
    pairs.rejected_prior,
from pairs
inner join questions using (campaign, round, question_id);

comment on view step_preferences is 'One row per preference with its question, its place in the tree and the size of the preference.';
comment on column step_preferences.campaign is 'Campaign of the round.';
comment on column step_preferences.round is 'Number of the round in its campaign, from 1.';
comment on column step_preferences.lesson is 'Name of the lesson (preferences).';
comment on column step_preferences.pair_id is 'Pair (preferences).';
comment on column step_preferences.tree_id is 'Tree of the pair (trees).';
comment on column step_preferences.question_id is 'Question of the tree (questions).';
comment on column step_preferences.kinds is 'Kinds of operation or subjects of the question.';
comment on column step_preferences.level is 'Difficulty of the question as its source states it.';
comment on column step_preferences.question is 'Text of the question.';
comment on column step_preferences.kind is 'plan, step (of a solution without a plan), solution or continuation (preferences).';
comment on column step_preferences.depth is 'Position of the first action of both sides: 1 follows the question.';
comment on column step_preferences.chosen is 'Text of the chosen side.';
comment on column step_preferences.rejected is 'Text of the rejected side.';
comment on column step_preferences.chosen_value is 'V_w of the loss.';
comment on column step_preferences.rejected_value is 'V_l of the loss.';
comment on column step_preferences.gap is 'Advantage gap V_w - V_l of the loss, in [0, 2]: how critical the step is; 0 only of solutions whose scale is 0.';
comment on column step_preferences.q_gap is 'The same gap in tree Q, before the value scale, in (0, 2].';
comment on column step_preferences.chosen_visits is 'Visit count of the chosen node.';
comment on column step_preferences.rejected_visits is 'Visit count of the rejected node.';
comment on column step_preferences.chosen_prior is 'Prior of the chosen step, in [0, 1]; null of continuations.';
comment on column step_preferences.rejected_prior is 'Prior of the rejected step, in [0, 1]; null of continuations; above chosen_prior: the policy preferred the wrong step.';

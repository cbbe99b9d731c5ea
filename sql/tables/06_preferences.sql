create table preferences (
    campaign varchar not null,
    round integer not null,
    lesson varchar not null,
    pair_id varchar not null,
    tree_id varchar not null,
    question_id varchar not null,
    parent_id integer not null,
    chosen_id integer not null,
    rejected_id integer not null,
    kind varchar not null,
    prompt_ids integer[] not null,
    chosen_ids integer[] not null,
    rejected_ids integer[] not null,
    prompt varchar not null,
    chosen varchar not null,
    rejected varchar not null,
    chosen_q double not null,
    rejected_q double not null,
    chosen_value double not null,
    rejected_value double not null,
);

comment on table preferences is 'One row per lesson and preference between two sibling steps of a tree: what Step-APO trains on.';
comment on column preferences.campaign is 'Campaign of the round.';
comment on column preferences.round is 'Number of the round in its campaign, from 1.';
comment on column preferences.lesson is 'Name of the lesson in the round''s recipe.';
comment on column preferences.pair_id is 'Key within the lesson.';
comment on column preferences.tree_id is 'Tree of both steps (trees).';
comment on column preferences.question_id is 'Question of the tree (questions).';
comment on column preferences.parent_id is 'Node that both steps continue (nodes).';
comment on column preferences.chosen_id is 'Node of the chosen step; its Q is positive.';
comment on column preferences.rejected_id is 'Node of the rejected step; its Q is negative.';
comment on column preferences.kind is 'plan: two plan steps; step: two of a solution without a plan; solution: the best and the worst solution below the parent.';
comment on column preferences.prompt_ids is 'Token ids of the state before the step: the root state and all actions down to the parent.';
comment on column preferences.chosen_ids is 'Token ids of the chosen step.';
comment on column preferences.rejected_ids is 'Token ids of the rejected step.';
comment on column preferences.prompt is 'Text of the state before the step.';
comment on column preferences.chosen is 'Text of the chosen step.';
comment on column preferences.rejected is 'Text of the rejected step.';
comment on column preferences.chosen_q is 'Q of the chosen node in the tree, in [-1, 1].';
comment on column preferences.rejected_q is 'Q of the rejected node in the tree, in [-1, 1].';
comment on column preferences.chosen_value is 'V_w of the loss: chosen_q times the value scale of its kind (CPL: steps 1.0, solution 0.3).';
comment on column preferences.rejected_value is 'V_l of the loss: rejected_q times the value scale of its kind.';

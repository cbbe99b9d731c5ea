create table step_pairs (
    campaign varchar not null,
    round integer not null,
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

comment on table step_pairs is 'One row per preference between two sibling steps of a tree: what Step-APO trains on.';
comment on column step_pairs.campaign is 'Campaign of the round.';
comment on column step_pairs.round is 'Number of the round in its campaign, from 1.';
comment on column step_pairs.pair_id is 'Key within the round.';
comment on column step_pairs.tree_id is 'Tree of both steps (trees).';
comment on column step_pairs.question_id is 'Question of the tree (questions).';
comment on column step_pairs.parent_id is 'Node that both steps continue (nodes).';
comment on column step_pairs.chosen_id is 'Node of the chosen step; its Q is positive.';
comment on column step_pairs.rejected_id is 'Node of the rejected step; its Q is negative.';
comment on column step_pairs.kind is 'plan: two plan steps; solution: the best and the worst solution below the parent.';
comment on column step_pairs.prompt_ids is 'Token ids of the state before the step: the root state and all actions down to the parent.';
comment on column step_pairs.chosen_ids is 'Token ids of the chosen step.';
comment on column step_pairs.rejected_ids is 'Token ids of the rejected step.';
comment on column step_pairs.prompt is 'Text of the state before the step.';
comment on column step_pairs.chosen is 'Text of the chosen step.';
comment on column step_pairs.rejected is 'Text of the rejected step.';
comment on column step_pairs.chosen_q is 'Q of the chosen node in the tree, in [-1, 1].';
comment on column step_pairs.rejected_q is 'Q of the rejected node in the tree, in [-1, 1].';
comment on column step_pairs.chosen_value is 'V_w of the loss: chosen_q times the value scale of its kind (CPL: plan 1.0, solution 0.3).';
comment on column step_pairs.rejected_value is 'V_l of the loss: rejected_q times the value scale of its kind.';

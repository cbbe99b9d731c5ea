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
    chosen_q double not null,
    rejected_q double not null,
    chosen_value double not null,
    rejected_value double not null,
    tree integer, -- derived
    walk integer[], -- derived
    depth integer, -- derived
    chosen_visits integer, -- derived
    rejected_visits integer, -- derived
    chosen_prior double, -- derived
    rejected_prior double, -- derived
);

comment on table preferences is 'One row per lesson and preference between two continuations of a state of a tree: what Step-APO and DPO train on. It names nodes; the view pairs has their words.';
comment on column preferences.campaign is 'Campaign of the round.';
comment on column preferences.round is 'Number of the round in its campaign, from 1.';
comment on column preferences.lesson is 'Name of the lesson in the round''s recipe.';
comment on column preferences.pair_id is 'Key within the lesson.';
comment on column preferences.tree_id is 'Tree of both sides (trees).';
comment on column preferences.question_id is 'Question of the tree (questions).';
comment on column preferences.parent_id is 'Node that both sides continue, each by one action or several (nodes).';
comment on column preferences.chosen_id is 'Last node of the chosen side.';
comment on column preferences.rejected_id is 'Last node of the rejected side; its Q is below the chosen one''s.';
comment on column preferences.kind is 'plan: two sibling plan steps; step: two sibling steps of a solution without a plan; solution: two sibling solutions; continuation: anything else, as a side of several actions.';
comment on column preferences.chosen_q is 'Q of the chosen node in the tree, in [-1, 1].';
comment on column preferences.rejected_q is 'Q of the rejected node in the tree, in [-1, 1].';
comment on column preferences.chosen_value is 'V_w of the loss: chosen_q times the value scale of its kind (CPL: steps 1.0, solution 0.3).';
comment on column preferences.rejected_value is 'V_l of the loss: rejected_q times the value scale of its kind.';
comment on column preferences.tree is 'Number of the tree in its round (made here, of nodes).';
comment on column preferences.walk is 'Node ids of what both sides continue, from the root to parent_id, then of the chosen side down to chosen_id, then of the rejected one (made here, of nodes).';
comment on column preferences.depth is 'Position of the first action of both sides: 1 follows the question (made here, of nodes).';
comment on column preferences.chosen_visits is 'Visit count of the chosen node (made here, of nodes).';
comment on column preferences.rejected_visits is 'Visit count of the rejected node (made here, of nodes).';
comment on column preferences.chosen_prior is 'Prior of the chosen step, in [0, 1]; null of continuations (made here, of nodes).';
comment on column preferences.rejected_prior is 'Prior of the rejected step, in [0, 1]; null of continuations; above chosen_prior: the policy preferred the wrong step (made here, of nodes).';

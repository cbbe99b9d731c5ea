-- How words and token ids are compressed is said here, for DuckDB tries several ways of each column, and takes its time.
create table nodes (
    campaign varchar not null,
    round integer not null,
    tree_id varchar not null,
    node_id integer not null,
    parent_id integer,
    depth integer not null,
    kind varchar not null,
    origin varchar not null,
    hint varchar using compression zstd,
    text varchar not null using compression zstd,
    token_ids integer[] not null using compression bitpacking,
    logprob double not null,
    prior double not null,
    value double,
    visits integer not null,
    q double,
    reward double,
    score double,
    answer varchar,
    is_expanded boolean not null,
    is_closed boolean not null,
    tree integer, -- derived
    path integer[], -- derived
    outcome double, -- derived
);

comment on table nodes is 'One row per node of a search tree: the action that led to it and what the search learned of it.';
comment on column nodes.campaign is 'Campaign of the round.';
comment on column nodes.round is 'Number of the round in its campaign, from 1.';
comment on column nodes.tree_id is 'Tree of the node (trees).';
comment on column nodes.node_id is 'Key within the tree in order of creation; 0 is the root.';
comment on column nodes.parent_id is 'Node that it was expanded from; null for the root.';
comment on column nodes.depth is 'Actions from the root; 0 for the root.';
comment on column nodes.kind is 'root, plan (a step of one), step (of a solution that follows no plan), solution (of the latter: its end), malformed (not the format), too_deep, undecided (a solution whose answer the check could not decide) or leaked (the end of a plan that states the answer which its hint gave away).';
comment on column nodes.origin is 'Who began the action: policy, or words that were written for it to continue: reading (of the question), correction (of the step before), library (a step that worked elsewhere); hint: written under a failed attempt, its verdict and a reflection (a solution: of such a plan, without it).';
comment on column nodes.hint is 'The reflection that the engine saw in the question''s place, after the failed attempt and the right answer, and that no state holds; where none was asked for (STaR), the verdict with that answer; null where it saw the state alone.';
comment on column nodes.text is 'Text of the action alone: one step, or the end with the answer: below a plan, the whole solution; empty for too_deep, which is not asked for. Root: the question''s prompt.';
comment on column nodes.token_ids is 'Token ids of the action as the engine sampled them, stop string included. Root: those of the question''s prompt.';
comment on column nodes.logprob is 'Sum of the natural log-probabilities of the sampled token_ids (all, where origin is policy); 0 for the root.';
comment on column nodes.prior is 'P(a|s): geometric mean of the token probabilities, in [0, 1]; 1 for the root. Of other origin than policy: the mean of its siblings''.';
comment on column nodes.value is 'V of the state by the two value words of the model that judged it, the policy''s or a separate value model''s, in [-1, 1]; null for the root, for malformed and too deep ones and under a hint. Backed up for steps only, and not in sampled trees.';
comment on column nodes.visits is 'Visit count: values backed up through it, its own included (one once expanded, or terminal; of too_deep, one a sample that it stands for); where the tree counts trajectories: those through it. 0 where nothing is known: undecided, leaked, and a step that fills the context.';
comment on column nodes.q is 'Running mean of the values backed up through it, in [-1, 1]; null while visits is 0.';
comment on column nodes.reward is '+1 for a correct solution, -1 for any other terminal; null for steps, the root and what is undecided or leaked.';
comment on column nodes.score is 'stepwise: zero-sum score of a child of the root, visits x advantage over the visit-weighted mean of its siblings (2501.01478, eq. 1, alpha = 1, rewards 1 and 0); null otherwise.';
comment on column nodes.answer is 'Content of the last \boxed{} of a solution; where a program is asked for, of its last block of code; null otherwise.';
comment on column nodes.is_expanded is 'Its children were sampled.';
comment on column nodes.is_closed is 'Nothing below it is left to search: terminal, all children closed, or its state fills the policy''s context.';
comment on column nodes.tree is 'Number of the tree in its round, in the order of the rows, from 1: joins that have it read the rows of those trees alone (made here).';
comment on column nodes.path is 'Node ids from the root to the node, both included; null for one that hangs on nothing (made here).';
comment on column nodes.outcome is 'What became of it, without V: mean reward of the terminals below it, or its own, weighed by visits, in [-1, 1]; of a step without a hint those that have none. stepwise: q, the mean of its rollouts, which are no nodes. Null where nothing ended (made here).';

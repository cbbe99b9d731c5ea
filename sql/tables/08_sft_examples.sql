create table sft_examples (
    campaign varchar not null,
    round integer not null,
    example_id varchar not null,
    tree_id varchar not null,
    question_id varchar not null,
    leaf_id integer,
    rollout_id varchar,
    origin varchar not null,
    is_policy boolean not null,
    prompt_ids integer[] not null,
    completion_ids integer[] not null,
    prompt varchar not null,
    completion varchar not null,
    value_positions integer[] not null,
    value_targets float[] not null,
);

comment on table sft_examples is 'One row per path that SFT trains on, as policy and value target or as value target alone: from a question to a leaf of its tree or, where it was not searched or no right path was found, a rollout.';
comment on column sft_examples.campaign is 'Campaign of the round.';
comment on column sft_examples.round is 'Number of the round in its campaign, from 1.';
comment on column sft_examples.example_id is 'Key within the round.';
comment on column sft_examples.tree_id is 'Tree of the path, or of the rollout''s question (trees).';
comment on column sft_examples.question_id is 'Question of the tree (questions).';
comment on column sft_examples.leaf_id is 'Last node of the path (nodes); null for a rollout.';
comment on column sft_examples.rollout_id is 'Rollout that the row is (rollouts); null for a path of a tree.';
comment on column sft_examples.origin is 'tree: a path of a search; rollout: a right first attempt; reflection: an attempt after a reflection on one that failed (LEPA). Rollouts are imitated where the question was not searched because they were right, and the first right one where its trees hold no right path.';
comment on column sft_examples.is_policy is 'The policy learns the completion; false: only the values on it are learned.';
comment on column sft_examples.prompt_ids is 'Token ids of the question, without a few-shot prefix.';
comment on column sft_examples.completion_ids is 'Token ids of all actions from the question to the leaf, those in the tree''s prompt included, or of the rollout; is_policy adds the end of sequence.';
comment on column sft_examples.prompt is 'Text of the question.';
comment on column sft_examples.completion is 'Text of all actions from the question to the leaf, or of the rollout.';
comment on column sft_examples.value_positions is 'Index into completion_ids, from 0, of the last token of each step whose value is trained here.';
comment on column sft_examples.value_targets is 'What V should be there, in [-1, 1], in the same order. tree: Q of the step, if a trajectory ended below it. Others: the reward at the end and, where the question was not searched, the mean reward of the first attempts that share the step.';

create table imitations (
    campaign varchar not null,
    round integer not null,
    lesson varchar not null,
    example_id varchar not null,
    tree_id varchar not null,
    question_id varchar not null,
    leaf_id integer not null,
    origin varchar not null,
    weight double not null,
    prompt_tokens integer not null,
    prompt_characters integer not null,
    eos integer,
    value_positions integer[] not null,
    value_targets float[] not null,
);

comment on table imitations is 'One row per lesson and path that is learnt from, from a question to a leaf of its tree: imitated, as value targets, or both. It names nodes; the view imitated_paths has their words.';
comment on column imitations.campaign is 'Campaign of the round.';
comment on column imitations.round is 'Number of the round in its campaign, from 1.';
comment on column imitations.lesson is 'Name of the lesson in the round''s recipe.';
comment on column imitations.example_id is 'Key within the lesson.';
comment on column imitations.tree_id is 'Tree of the path (trees).';
comment on column imitations.question_id is 'Question of the tree (questions).';
comment on column imitations.leaf_id is 'Last node of the path (nodes).';
comment on column imitations.origin is 'Who began its last action (nodes); hint: the plan was written under a failed attempt and the right answer (LEPA, STaR).';
comment on column imitations.weight is 'Of the completion''s log-probability in the loss: above 0 it is imitated (1, or as often as it was sampled, times what `select` says); 0: only the values on it are learnt; a scored step has alpha times its score, below 0 to be unlearnt.';
comment on column imitations.prompt_tokens is 'Tokens of the path, its root''s included, that are the question (of a scored step: the state before it) and not learnt.';
comment on column imitations.prompt_characters is 'Characters of the path''s text, the root''s included, that those tokens are.';
comment on column imitations.eos is 'Token id of the end of sequence that is learnt behind the path; null where none is: a step ends no text.';
comment on column imitations.value_positions is 'Index into the tokens behind the prompt (imitated_paths.completion_ids), from 0, of the last token of each step whose value is trained here.';
comment on column imitations.value_targets is 'What V should be there, in [-1, 1], in the same order: Q of the step, if a trajectory ended below it that was not told the answer; those that were do not count.';

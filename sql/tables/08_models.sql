create table models (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    ordinal integer not null,
    uri varchar not null,
    sha256 varchar not null,
    parent varchar,
    same_as varchar,
    is_policy boolean not null,
    is_next boolean not null,
    lesson varchar,
    loss varchar,
    updates integer not null,
    examples integer not null,
    token_ratio double,
    seconds double not null,
);

comment on table models is 'One row per checkpoint that a round starts from or trains.';
comment on column models.campaign is 'Campaign of the round.';
comment on column models.round is 'Number of the round in its campaign, from 1.';
comment on column models.model is 'base, or an arm of the round''s recipe.';
comment on column models.ordinal is 'Place in the recipe, from 0: the base model.';
comment on column models.uri is 'Address of the manifest of the checkpoint in the object store.';
comment on column models.sha256 is 'Digest of that manifest: the version of the checkpoint.';
comment on column models.parent is 'Model of this table that its training started from, or previous: the policy of the round before; null for base.';
comment on column models.same_as is 'Model of this round, before it, whose weights are the same bytes: its training changed nothing, and it is not scored as if it were new; null where the weights are its own.';
comment on column models.is_policy is 'It is asked for steps and answers; false: a value model, of which only V is asked.';
comment on column models.is_next is 'The policy that the next round searches with; no model of a round that learnt nothing after the first.';
comment on column models.lesson is 'Lesson of the recipe that it learnt; null for base.';
comment on column models.loss is 'Weights of the terms of its loss, as JSON; null for base.';
comment on column models.updates is 'Updates of its training.';
comment on column models.examples is 'Rows that it was trained on: imitations or preferences.';
comment on column models.token_ratio is 'Tokens of all sequences that it learnt from, by those that were computed: what they begin with together is computed once; null for base.';
comment on column models.seconds is 'Wall-clock seconds of its training.';

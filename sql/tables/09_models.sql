create table models (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    uri varchar not null,
    sha256 varchar not null,
    parent varchar,
    same_as varchar,
    updates integer not null,
    examples integer not null,
    seconds double not null,
);

comment on table models is 'One row per checkpoint that a round starts from or trains.';
comment on column models.campaign is 'Campaign of the round.';
comment on column models.round is 'Number of the round in its campaign, from 1.';
comment on column models.model is 'base (where the SFT of every round starts), sft, value (a model for V alone, trained from base), or one of the arms from sft: step_apo, step_dpo (the same pairs without the margin), sft_more (control: SFT for as many sequences more).';
comment on column models.uri is 'Address of the manifest of the checkpoint in the object store.';
comment on column models.sha256 is 'Digest of that manifest: the version of the checkpoint.';
comment on column models.parent is 'Model of this table that its training started from, or previous: the policy of the round before; null for base.';
comment on column models.same_as is 'Model of this round, before it, whose weights are the same bytes: its training changed nothing, and it is not scored as if it were new; null where the weights are its own.';
comment on column models.updates is 'Optimiser steps of its training.';
comment on column models.examples is 'Rows that it was trained on: SFT examples or step pairs.';
comment on column models.seconds is 'Wall-clock seconds of its training.';

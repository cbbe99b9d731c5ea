create table inputs (
    campaign varchar not null,
    round integer not null,
    stage varchar not null,
    input varchar not null,
    uri varchar not null,
    sha256 varchar not null,
);

comment on table inputs is 'One row per stage of a round and other stage that it was given: what was made of what.';
comment on column inputs.campaign is 'Campaign of the round.';
comment on column inputs.round is 'Number of the round in its campaign, from 1.';
comment on column inputs.stage is 'Stage that was given it (stages).';
comment on column inputs.input is 'What it was given as: policy, lesson, start, trees.NAME, …';
comment on column inputs.uri is 'Address of the manifest of what it was given; a round or a stage, of this round or an earlier one.';
comment on column inputs.sha256 is 'Digest of that manifest (stages.sha256, models.sha256).';

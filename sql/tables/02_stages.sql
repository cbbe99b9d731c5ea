create table stages (
    campaign varchar not null,
    round integer not null,
    stage varchar not null,
    seconds double not null,
    run_id varchar not null,
    uri varchar not null,
    sha256 varchar not null,
    rows bigint not null,
);

comment on table stages is 'One row per stage that a round is made of, with the manifest that committed it.';
comment on column stages.campaign is 'Campaign of the round.';
comment on column stages.round is 'Number of the round in its campaign, from 1.';
comment on column stages.stage is 'Name of the stage: questions, one of the recipe''s evidence, lessons or arms, evaluate_ and a model, …';
comment on column stages.seconds is 'Wall-clock seconds that the stage took when it was made, also where it was reused.';
comment on column stages.run_id is 'Flow run that made the stage; not the round''s own where the stage was reused.';
comment on column stages.uri is 'Address of the stage''s manifest.json in the object store.';
comment on column stages.sha256 is 'Digest of that manifest: the version of the stage.';
comment on column stages.rows is 'Rows of the stage''s main table; 0 for models.';

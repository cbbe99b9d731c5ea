create table stages (
    campaign varchar not null,
    round integer not null,
    stage varchar not null,
    seconds double not null,
    run_id varchar not null,
    uri varchar not null,
    sha256 varchar not null,
    rows bigint not null,
    version integer not null,
    code varchar not null,
    settings varchar not null,
    engine varchar,
    gpu_hours double,
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
comment on column stages.version is 'Version of the stage''s code: it rises when the output changes for the same input.';
comment on column stages.code is 'Git revision or package version of the code that made it.';
comment on column stages.settings is 'All that it was given but for other stages (inputs), as JSON.';
comment on column stages.engine is 'Version of the engine that it asked; null where it asked none, or was made before this column.';
comment on column stages.gpu_hours is 'GPUs that it held, times its hours, the start of its engine or trainer included; of a search in shards those of all. 0 on a CPU; null where it was made before this column.';

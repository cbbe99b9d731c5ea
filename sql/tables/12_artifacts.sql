create table artifacts (
    campaign varchar not null,
    round integer not null,
    stage varchar not null,
    name varchar not null,
    uri varchar not null,
    size bigint not null,
    sha256 varchar not null,
    rows bigint,
);

comment on table artifacts is 'One row per object in the object store that a round is made of.';
comment on column artifacts.campaign is 'Campaign of the round.';
comment on column artifacts.round is 'Number of the round in its campaign, from 1.';
comment on column artifacts.stage is 'Stage that wrote it (stages).';
comment on column artifacts.name is 'Name below the stage''s prefix.';
comment on column artifacts.uri is 'Address in the object store.';
comment on column artifacts.size is 'Size in bytes.';
comment on column artifacts.sha256 is 'Digest of its bytes.';
comment on column artifacts.rows is 'Rows of a Parquet table; null for anything else.';

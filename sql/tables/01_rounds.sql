create table rounds (
    campaign varchar not null,
    round integer not null,
    run_id varchar not null,
    recipe varchar not null,
    model varchar not null,
    seconds double not null,
    created_at timestamptz not null,
    config varchar not null,
    code varchar not null,
);

comment on table rounds is 'One row per round of a campaign: what ran, from which code and configuration.';
comment on column rounds.campaign is 'Name of the campaign: rounds that build on each other.';
comment on column rounds.round is 'Number of the round in its campaign, from 1.';
comment on column rounds.run_id is 'Prefect flow run that made the round.';
comment on column rounds.recipe is 'Method: name of a file in flows/recipes.';
comment on column rounds.model is 'Base model, from which the SFT of every round starts: micro, smollm2, a hub id or a folder.';
comment on column rounds.seconds is 'Seconds that its stages took when they were made, summed; stages reused from earlier runs included.';
comment on column rounds.created_at is 'When the warehouse was built (UTC).';
comment on column rounds.config is 'All settings of the round as JSON text: the recipe''s, with what the user changed.';
comment on column rounds.code is 'Git revision or package version of the code that ran.';

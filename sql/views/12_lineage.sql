create view lineage as
with recursive edges as (
    select distinct stages.sha256 as made, inputs.sha256 as given
    from inputs
    inner join stages using (campaign, round, stage)
),

walked as (
    from edges

    union

    select walked.made, edges.given
    from walked
    inner join edges on walked.given = edges.made
),

named as (
    select
        sha256,
        arg_min({'campaign': campaign, 'round': round, 'stage': stage}, (began, campaign, round, stage)) as first,
        any_value(rows) as rows,
        any_value(code) as code,
        any_value(settings) as settings,
    from stages
    inner join ( -- a round that is published again is no younger than the next
        select campaign, round, min(created_at) over (partition by campaign) as began from rounds
    ) as rounds using (campaign, round)
    group by sha256
)

select
    stages.campaign,
    stages.round,
    stages.stage,
    named.first.stage as made_of,
    named.first.campaign as of_campaign,
    named.first.round as of_round,
    named.rows,
    named.code,
    named.settings,
    named.sha256,
from stages
inner join walked on stages.sha256 = walked.made
inner join named on walked.given = named.sha256;

comment on view lineage is 'One row per stage of a round, models among them, and stage that it was made of, directly or through others, of whatever round in this warehouse.';
comment on column lineage.campaign is 'Campaign of the round.';
comment on column lineage.round is 'Number of the round in its campaign, from 1.';
comment on column lineage.stage is 'Stage that was made (stages, models).';
comment on column lineage.made_of is 'Stage that it was made of.';
comment on column lineage.of_campaign is 'Campaign of the first round that has that stage.';
comment on column lineage.of_round is 'Number of that round.';
comment on column lineage.rows is 'Rows of that stage''s main table; 0 for models.';
comment on column lineage.code is 'Code version that made it.';
comment on column lineage.settings is 'Settings that it was given, as JSON.';
comment on column lineage.sha256 is 'Its version: the digest of its manifest.';

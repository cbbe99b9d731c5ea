create view pair_lineage as
with searches as (
    select
        stages.campaign,
        stages.round,
        stages.stage as evidence,
        stages.sha256 as search,
        stages.settings,
        stages.code,
        stages.engine,
        stages.run_id,
        any_value(inputs.sha256) filter (where inputs.input = 'policy') as policy,
        any_value(inputs.sha256) filter (where inputs.input = 'value') as value_model,
    from stages
    left join inputs using (campaign, round, stage)
    group by all
)

select
    preferences.campaign,
    preferences.round,
    preferences.lesson,
    preferences.pair_id,
    preferences.question_id,
    preferences.tree_id,
    preferences.parent_id,
    preferences.chosen_id,
    preferences.rejected_id,
    preferences.chosen_value - preferences.rejected_value as margin,
    trees.evidence,
    searches.policy,
    searches.value_model,
    searches.search,
    searches.engine,
    searches.settings,
    searches.code,
    searches.run_id,
from preferences
left join (select campaign, round, tree_id, evidence from trees) as trees using (campaign, round, tree_id)
left join searches
    on
        preferences.campaign = searches.campaign
        and preferences.round = searches.round
        and trees.evidence = searches.evidence;

comment on view pair_lineage is 'One row per preference: what it is made of, down to the model, the engine, the settings and the code that wrote its steps.';
comment on column pair_lineage.campaign is 'Campaign of the round.';
comment on column pair_lineage.round is 'Number of the round in its campaign, from 1.';
comment on column pair_lineage.lesson is 'Lesson of the recipe (preferences).';
comment on column pair_lineage.pair_id is 'Key within the lesson.';
comment on column pair_lineage.question_id is 'Question (questions).';
comment on column pair_lineage.tree_id is 'Tree of both sides (trees).';
comment on column pair_lineage.parent_id is 'Node that both sides continue (nodes).';
comment on column pair_lineage.chosen_id is 'Last node of the chosen side.';
comment on column pair_lineage.rejected_id is 'Last node of the rejected side.';
comment on column pair_lineage.margin is 'V_w - V_l of the loss.';
comment on column pair_lineage.evidence is 'Search that grew the tree.';
comment on column pair_lineage.policy is 'Digest of the model that wrote the steps (models.sha256).';
comment on column pair_lineage.value_model is 'Digest of the stage of the separate value model that judged its steps; null where the policy did.';
comment on column pair_lineage.search is 'Digest of the search''s stage (stages.sha256).';
comment on column pair_lineage.engine is 'Version of the engine that served the model; null where it does not tell it, or the search is older than this column.';
comment on column pair_lineage.settings is 'Settings of the search, as JSON.';
comment on column pair_lineage.code is 'Code version that searched.';
comment on column pair_lineage.run_id is 'Flow run that searched.';

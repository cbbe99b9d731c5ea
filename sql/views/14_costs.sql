create view costs as
with asked as (
    select
        campaign,
        round,
        stages.stage,
        max(engine_use.seconds) as seconds,
        sum(requests)::bigint as requests,
        sum(prompt_tokens)::bigint as prompt_tokens,
        sum(cached_tokens)::bigint as cached_tokens,
        sum(generated_tokens)::bigint as generated_tokens,
        max(gpus * engine_use.seconds / 3600) as gpu_hours,
    from (select campaign, round, stage from stages) as stages
    inner join engine_use using (campaign, round)
    where engine_use.stage in (stages.stage, stages.stage || '_value')  -- of a value model beside the policy
    group by all
)

select
    campaign,
    round,
    stage,
    case
        when regexp_matches(stage, '^(evaluate|harness|rank_values)_') then 'scores'
        when asked.stage is not null then 'search'
        when models.parent is not null then 'training'
        else 'other'
    end as purpose,
    row_number() over (partition by stages.uri order by rounds.began, campaign, round) = 1 as is_own,
    stages.seconds,
    asked.seconds as engine_seconds,
    coalesce(stages.gpu_hours, asked.gpu_hours) as gpu_hours,
    requests,
    prompt_tokens,
    cached_tokens,
    generated_tokens,
    updates,
from stages
inner join ( -- a round that is published again is no younger than the next
    select campaign, round, min(created_at) over (partition by campaign) as began from rounds
) as rounds using (campaign, round)
left join asked using (campaign, round, stage)
left join (select campaign, round, model as stage, parent, updates from models) as models using (campaign, round, stage);

comment on view costs is 'One row per stage of a round: the seconds, GPU hours, tokens and updates that it took when it was made. Time between stages belongs to none.';
comment on column costs.campaign is 'Campaign of the round.';
comment on column costs.round is 'Number of the round in its campaign, from 1.';
comment on column costs.stage is 'Name of the stage (stages).';
comment on column costs.purpose is 'search, training, scores (evaluation, harness, rankings of V) or other (questions, base model, lessons, tables).';
comment on column costs.is_own is 'Whether it was made for this round: no round of this warehouse that was published before has it.';
comment on column costs.seconds is 'Wall-clock seconds of the stage, also where it was reused, from the start of the run that finished it: what a killed run had spent before is in none. Trainings side by side overlap.';
comment on column costs.engine_seconds is 'Of those, seconds with an engine, its start excluded; null where it asked none, or does not keep it (rankings of V).';
comment on column costs.gpu_hours is 'GPU hours of the stage (stages.gpu_hours); where that is not known those of its engine alone, null without one.';
comment on column costs.requests is 'Requests sent to engines, retries included.';
comment on column costs.prompt_tokens is 'Prompt tokens of these.';
comment on column costs.cached_tokens is 'Of those, tokens that the prefix cache already held.';
comment on column costs.generated_tokens is 'Tokens generated.';
comment on column costs.updates is 'Updates of a training.';

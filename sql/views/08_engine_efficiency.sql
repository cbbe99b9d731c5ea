create view engine_efficiency as
select
    campaign,
    round,
    stage,
    questions,
    seconds,
    busy_seconds / nullif(seconds, 0) as utilisation,
    sequence_seconds / nullif(seconds, 0) as mean_sequences,
    generated_tokens / nullif(seconds, 0) as tokens_per_second,
    cached_tokens / nullif(prompt_tokens, 0) as cache_hit_share,
    questions / nullif(seconds, 0) * 3600 as questions_per_hour,
    queue_seconds / nullif(requests, 0) as mean_queue_seconds,
    service_seconds / nullif(requests, 0) as mean_service_seconds,
    failed_requests,
    gpus,
    gpus * seconds / 3600 as gpu_hours,
from engine_use;

comment on view engine_efficiency is 'One row per stage that asked an engine: how well it used it.';
comment on column engine_efficiency.campaign is 'Campaign of the round.';
comment on column engine_efficiency.round is 'Number of the round in its campaign, from 1.';
comment on column engine_efficiency.stage is 'Name of the evidence, or evaluate_ and the model.';
comment on column engine_efficiency.questions is 'Questions of the stage.';
comment on column engine_efficiency.seconds is 'Wall-clock seconds with the engine.';
comment on column engine_efficiency.utilisation is 'Share of that time with at least one request in the engine, in [0, 1].';
comment on column engine_efficiency.mean_sequences is 'Sequences in the engine, mean over time.';
comment on column engine_efficiency.tokens_per_second is 'Tokens generated a second.';
comment on column engine_efficiency.cache_hit_share is 'Share of prompt tokens that the prefix cache held, in [0, 1].';
comment on column engine_efficiency.questions_per_hour is 'Questions an hour (of one engine, where several are added up).';
comment on column engine_efficiency.mean_queue_seconds is 'Mean seconds that a request waited for admission.';
comment on column engine_efficiency.mean_service_seconds is 'Mean seconds from sending a request to its reply.';
comment on column engine_efficiency.failed_requests is 'Requests that got no valid reply.';
comment on column engine_efficiency.gpus is 'GPUs of the engines; 0 on a CPU.';
comment on column engine_efficiency.gpu_hours is 'GPUs times hours; 0 on a CPU.';

create table engine_use (
    campaign varchar not null,
    round integer not null,
    stage varchar not null,
    questions integer not null,
    seconds double not null,
    busy_seconds double not null,
    sequence_seconds double not null,
    requests bigint not null,
    failed_requests bigint not null,
    prompt_tokens bigint not null,
    cached_tokens bigint not null,
    generated_tokens bigint not null,
    queue_seconds double not null,
    service_seconds double not null,
    gpus integer not null,
);

comment on table engine_use is 'One row per stage that asked an engine: what it asked, what that took, and how much of the time the engine was used. Of the attempt that finished the stage; what earlier attempts had kept cost it nothing. Several engines (shards) are added up.';
comment on column engine_use.campaign is 'Campaign of the round.';
comment on column engine_use.round is 'Number of the round in its campaign, from 1.';
comment on column engine_use.stage is 'Name of the evidence, or evaluate_ and the model; with _value at its end: the value model that judged a search, at one request a sample.';
comment on column engine_use.questions is 'Questions of the stage.';
comment on column engine_use.seconds is 'Wall-clock seconds that the stage had the engine, its start excluded.';
comment on column engine_use.busy_seconds is 'Of those, seconds with at least one request in the engine: utilisation is busy_seconds / seconds.';
comment on column engine_use.sequence_seconds is 'Integral over time of the sequences in the engine: their mean number is sequence_seconds / seconds.';
comment on column engine_use.requests is 'Requests sent, retries included.';
comment on column engine_use.failed_requests is 'Requests that got no valid reply.';
comment on column engine_use.prompt_tokens is 'Prompt tokens of all requests.';
comment on column engine_use.cached_tokens is 'Of those, tokens that the prefix cache already held.';
comment on column engine_use.generated_tokens is 'Tokens generated.';
comment on column engine_use.queue_seconds is 'Seconds that requests waited for admission, added up.';
comment on column engine_use.service_seconds is 'Seconds from sending a request to its reply, added up; requests overlap.';
comment on column engine_use.gpus is 'GPUs of the engines, taken as one an address; 0 on a CPU. Of one engine, where several are added up.';

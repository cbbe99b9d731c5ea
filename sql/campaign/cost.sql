-- What every round took: seconds of its stages, and what its engines did.
select
    rounds.round,
    recipe,
    code,
    created_at,
    rounds.seconds,
    coalesce(sum(generated_tokens), 0)::bigint as generated_tokens,
    coalesce(sum(engine_use.seconds), 0) as engine_seconds,
    coalesce(sum(engine_use.seconds * gpus), 0) / 3600 as gpu_hours,
from rounds
left join engine_use using (campaign, round)
where campaign = $campaign
group by all
order by rounds.round

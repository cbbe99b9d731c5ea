-- What every round took: seconds and GPU hours of its stages, and what its engines did.
select
    rounds.round,
    recipe,
    code,
    created_at,
    rounds.seconds,
    coalesce(sum(generated_tokens), 0)::bigint as generated_tokens,
    coalesce(sum(engine_seconds), 0) as engine_seconds,
    coalesce(sum(gpu_hours), 0) as gpu_hours,
from rounds
left join costs using (campaign, round)
where campaign = $campaign
group by all
order by rounds.round

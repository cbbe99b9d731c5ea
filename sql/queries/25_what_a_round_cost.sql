-- What did each round cost, by what it was spent on: seconds, GPU hours, tokens? A stage is paid for by the first round that has it.
select
    campaign,
    round,
    purpose,
    count(*) as stages,
    round(sum(seconds), 1) as seconds,
    round(sum(engine_seconds), 1) as engine_seconds,
    sum(gpu_hours) as gpu_hours,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(generated_tokens)::bigint as generated_tokens,
    sum(updates)::bigint as updates,
from costs
where is_own
group by all
order by all

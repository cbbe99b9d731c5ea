-- What does a useful pair cost in tokens, seconds and GPU hours? Useful is a pair whose margin is at least 0.5.
with useful as (
    select campaign, round, evidence, count(*) as pairs, sum((chosen_value - rejected_value >= 0.5)::int) as useful_pairs
    from preferences
    inner join (select campaign, round, tree_id, evidence from trees) using (campaign, round, tree_id)
    group by all
)

select
    campaign,
    round,
    evidence,
    useful.pairs,
    useful_pairs,
    engine_use.generated_tokens,
    round(engine_use.generated_tokens / nullif(useful_pairs, 0)) as tokens_per_useful_pair,
    round(engine_use.seconds / nullif(useful_pairs, 0), 3) as seconds_per_useful_pair,
    gpus * engine_use.seconds / 3600 / nullif(useful_pairs, 0) as gpu_hours_per_useful_pair,
from useful
left join (select * exclude (stage), stage as evidence from engine_use) as engine_use using (campaign, round, evidence)
order by all

-- What does a useful pair cost in tokens, seconds and GPU hours? Useful is a pair whose margin is at least 0.5. Tokens are of trees that are learnt from; seconds and GPU hours of the whole search.
with of_trees as (
    select campaign, round, tree_id, count(*) as pairs, count(*) filter (where margin >= 0.5) as useful_pairs
    from (
        select campaign, round, tree_id, max(chosen_value - rejected_value) as margin
        from preferences
        group by campaign, round, tree_id, chosen_id, rejected_id
    )
    group by all
),

useful as (
    select campaign, round, evidence, sum(pairs)::bigint as pairs, sum(useful_pairs)::bigint as useful_pairs
    from of_trees
    inner join (select campaign, round, tree_id, evidence from trees) using (campaign, round, tree_id)
    group by all
)

select
    campaign,
    round,
    evidence,
    useful.pairs,
    useful_pairs,
    learning_tokens,
    round(learning_tokens / nullif(useful_pairs, 0)) as tokens_per_useful_pair,
    round(costs.engine_seconds / nullif(useful_pairs, 0), 3) as seconds_per_useful_pair,
    costs.gpu_hours / nullif(useful_pairs, 0) as gpu_hours_per_useful_pair,
from useful
left join search_yield using (campaign, round, evidence)
left join (select * exclude (stage), stage as evidence from costs) as costs using (campaign, round, evidence)
order by all

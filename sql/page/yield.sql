-- What each search found, and what that cost: a pair, in trees that are learnt from; held-out ones give none. Only puct
-- has a budget of expansions: a simulation of stepwise search is a rollout.
with budgets as (
    select evidence, sum(simulations)::bigint as simulations
    from trees
    where (campaign, round) = ($campaign, $round) and method = 'puct'
    group by all
)

select
    search_yield.evidence,
    search_yield.questions,
    solved,
    trees,
    budgets.simulations,
    expansions,
    nodes,
    plan_pairs + step_pairs + solution_pairs + continuation_pairs as pairs,
    search_yield.generated_tokens,
    cache_hit_share,
    learning_tokens,
    learning_tokens / nullif(pairs, 0) as tokens_per_pair,
    search_yield.generated_tokens / nullif(solved, 0) as tokens_per_solved,
    engine_use.seconds,
from search_yield
left join budgets using (evidence)
left join engine_use
    on
        engine_use.campaign = search_yield.campaign
        and engine_use.round = search_yield.round
        and engine_use.stage = search_yield.evidence
where search_yield.campaign = $campaign and search_yield.round = $round
order by search_yield.evidence

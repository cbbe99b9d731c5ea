-- What does a pair cost? Expansions and generated tokens of the search for each pair, in trees that are learnt from.
-- Only puct has a budget of expansions: a simulation of stepwise search is a rollout, and may open no node.
with budgets as (
    select campaign, round, evidence, sum(simulations) as simulations
    from trees
    where method = 'puct'
    group by all
)

select
    campaign,
    round,
    evidence,
    questions,
    trees,
    solved,
    plan_pairs + step_pairs + solution_pairs + continuation_pairs as pairs,
    round(learning_expansions / nullif(pairs, 0), 1) as expansions_per_pair,
    round(learning_tokens / nullif(pairs, 0)) as tokens_per_pair,
    round(expansions / nullif(budgets.simulations, 0), 2) as share_of_budget_used,
    round(cache_hit_share, 2) as cache_hit_share,
from search_yield
left join budgets using (campaign, round, evidence)
order by campaign, round, evidence

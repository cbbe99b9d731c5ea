-- What each search found in every round, and what that took: a pair, in trees that are learnt from; held-out ones give none.
select
    evidence,
    round,
    questions,
    solved,
    expansions,
    plan_pairs + step_pairs + solution_pairs + continuation_pairs as pairs,
    generated_tokens,
    learning_tokens / nullif(pairs, 0) as tokens_per_pair,
    cache_hit_share,
from search_yield
where campaign = $campaign
order by evidence, round

-- The trees of some questions.
select
    question_id,
    tree_id,
    evidence,
    method,
    state,
    steps,
    simulations,
    expansions,
    visits,
    value,
    pass_rate,
    generated_tokens,
    error,
from trees
where (campaign, round) = ($campaign, $round) and question_id in (select unnest($questions))
order by question_id, evidence, tree_id

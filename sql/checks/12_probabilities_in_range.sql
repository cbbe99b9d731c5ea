-- A probability or a share lies in [0, 1], and a log-probability is not above 0 (give or take float32).
select
    'nodes' as table_name,
    campaign,
    round,
    concat_ws(' ', tree_id, node_id) as key,
    concat_ws(', ', 'prior ' || prior, 'logprob ' || logprob) as numbers,
from nodes
where prior not between 0 and 1 + 1e-4 or logprob > 1e-4
union all
select 'pair_effects', campaign, round, concat_ws(' ', model, pair_id), concat_ws(', ', chosen_before, chosen_after, rejected_before, rejected_after)
from pair_effects
where greatest(chosen_before, chosen_after, rejected_before, rejected_after) > 1e-4
union all
select 'trees', campaign, round, tree_id, 'pass_rate ' || pass_rate
from trees
where pass_rate not between 0 and 1
union all
select 'evaluations', campaign, round, concat_ws(' ', model, benchmark, kind), concat_ws(', ', 'accuracy ' || accuracy, 'stderr ' || stderr, 'from ' || accuracy_low, 'to ' || accuracy_high)
from evaluations
where
    accuracy not between 0 and 1
    or stderr not between 0 and 1
    or accuracy not between accuracy_low - 1e-9 and accuracy_high + 1e-9
union all
select 'value_rankings', campaign, round, concat_ws(' ', model, kind), concat_ws(', ', 'sibling_auc ' || sibling_auc, 'pooled_auc ' || pooled_auc, 'prior_auc ' || prior_auc)
from value_rankings
where sibling_auc not between 0 and 1 or pooled_auc not between 0 and 1 or prior_auc not between 0 and 1

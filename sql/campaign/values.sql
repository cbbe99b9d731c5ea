-- How V ranks siblings of held-out trees, round by round.
select model, kind, round, sibling_auc, sibling_auc_stderr, prior_auc, sibling_pairs
from value_rankings
where campaign = $campaign and sibling_auc is not null
order by kind, model, round

-- The models of a round, in the order of its recipe.
select model, uri, parent, same_as, is_policy, is_next, lesson, loss, updates, examples, token_ratio, seconds
from models
where (campaign, round) = ($campaign, $round)
order by ordinal

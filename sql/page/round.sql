-- The round itself: what code made it, and when.
select recipe, model, code, created_at
from rounds
where (campaign, round) = ($campaign, $round)

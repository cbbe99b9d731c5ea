-- Preferences with the nodes of both sides, and what those say of them in numbers.
insert into preferences by name
select
    $campaign as campaign,
    $round::integer as round,
    pairs.*,
    chosen.tree,
    list_position(chosen.path, pairs.parent_id) as depth,
    chosen.path || rejected.path[list_position(chosen.path, pairs.parent_id) + 1 :] as walk,
    chosen.visits as chosen_visits,
    rejected.visits as rejected_visits,
    if(pairs.kind = 'continuation', null, chosen.prior) as chosen_prior,
    if(pairs.kind = 'continuation', null, rejected.prior) as rejected_prior,
from read_parquet($path) as pairs
left join nodes as chosen
    on (chosen.campaign, chosen.round) = ($campaign, $round)
    and pairs.tree_id = chosen.tree_id
    and pairs.chosen_id = chosen.node_id
left join nodes as rejected
    on (rejected.campaign, rejected.round) = ($campaign, $round)
    and pairs.tree_id = rejected.tree_id
    and pairs.rejected_id = rejected.node_id

-- Nodes with the path to each, and what became of it. Found first, by numbers alone: so no text waits in memory for a join.
create temp table found as
with recursive numbered as (
    select tree_id, before.trees + row_number() over (order by min(file_row_number)) as tree
    from read_parquet($path, file_row_number = true)
    cross join (
        select coalesce(max(tree), 0) as trees from nodes where (campaign, round) = ($campaign, $round)
    ) as before -- of the round's other searches
    group by tree_id, before.trees
),

given as materialized (
    select file_row_number as place, tree, node_id, parent_id, origin = 'hint' as is_hinted, reward, visits, q
    from read_parquet($path, file_row_number = true)
    inner join numbered using (tree_id)
),

walked as (
    select place, tree, node_id, is_hinted, reward, visits, q, [node_id] as path
    from given
    where parent_id is null

    union all

    select child.place, child.tree, child.node_id, child.is_hinted, child.reward, child.visits, child.q, walked.path || [child.node_id] as path
    from walked
    inner join given as child on walked.tree = child.tree and walked.node_id = child.parent_id
),

passed as (
    select tree, unnest(path[: -2]) as node_id, is_hinted, reward, visits
    from walked
    where reward is not null
),

outcomes as (
    select
        tree,
        node_id,
        sum(reward * visits) / nullif(sum(visits), 0) as outcome,
        sum(reward * visits) filter (where not is_hinted) / nullif(sum(visits) filter (where not is_hinted), 0) as own_outcome,
    from passed
    group by all
),

-- Whose rollouts are no nodes: Q is the mean of their rewards, and nothing else.
rolled_out as (
    select tree, true as is_rolled_out
    from numbered
    inner join trees using (tree_id)
    where (campaign, round) = ($campaign, $round) and backup = 'rollouts'
)

select
    place,
    tree,
    path,
    case
        when is_rolled_out then if(visits > 0, q, null)
        when reward is not null then if(visits > 0, reward, null)
        when is_hinted then outcome
        else own_outcome -- what followed under a hint says nothing of a step without
    end as outcome,
from walked
left join outcomes using (tree, node_id)
left join rolled_out using (tree);

insert into nodes by name
select $campaign as campaign, $round::integer as round, given.* exclude (file_row_number), found.tree, found.path, found.outcome
from read_parquet($path, file_row_number = true) as given
left join found on given.file_row_number = found.place;

drop table found;

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
    select file_row_number as place, tree, node_id, parent_id, reward, visits
    from read_parquet($path, file_row_number = true)
    inner join numbered using (tree_id)
),

walked as (
    select place, tree, node_id, reward, visits, [node_id] as path
    from given
    where parent_id is null

    union all

    select child.place, child.tree, child.node_id, child.reward, child.visits, walked.path || [child.node_id] as path
    from walked
    inner join given as child on walked.tree = child.tree and walked.node_id = child.parent_id
),

passed as (
    select tree, unnest(path[: -2]) as node_id, reward, visits
    from walked
    where reward is not null
),

outcomes as (
    select tree, node_id, sum(reward * visits) / nullif(sum(visits), 0) as outcome
    from passed
    group by all
)

select place, tree, path, if(reward is null, outcome, if(visits > 0, reward, null)) as outcome
from walked
left join outcomes using (tree, node_id);

insert into nodes by name
select $campaign as campaign, $round::integer as round, given.* exclude (file_row_number), found.tree, found.path, found.outcome
from read_parquet($path, file_row_number = true) as given
left join found on given.file_row_number = found.place;

drop table found;

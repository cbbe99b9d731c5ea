-- Nodes with the path to each, and what became of it.
with recursive given as (from read_parquet($path)),

walked as (
    select tree_id, node_id, [node_id] as path
    from given
    where parent_id is null

    union all

    select child.tree_id, child.node_id, walked.path || [child.node_id] as path
    from walked
    inner join (select tree_id, node_id, parent_id from given) as child
        on walked.tree_id = child.tree_id and walked.node_id = child.parent_id
),

ended as (
    select walked.tree_id, unnest(walked.path) as node_id, terminal.reward, terminal.visits
    from walked
    inner join (select tree_id, node_id, reward, visits from given where reward is not null) as terminal
        using (tree_id, node_id)
),

outcomes as (
    select tree_id, node_id, sum(reward * visits) / nullif(sum(visits), 0) as outcome
    from ended
    group by all
)

select $campaign as campaign, $round::integer as round, given.*, walked.path, outcomes.outcome
from given
left join walked using (tree_id, node_id)
left join outcomes using (tree_id, node_id)

create macro tree_paths_of(few) as table (
    with ends as (
        select *, unnest(path) as node_id
        from (
            select distinct campaign, round, tree, tree_id, node_id as end_id, parent_id, depth, path
            from query_table(few)
        )
    )

    select
        ends.campaign,
        ends.round,
        ends.tree_id,
        ends.end_id as node_id,
        ends.parent_id,
        ends.depth,
        ends.path,
        coalesce(string_agg(step.text, '' order by step.depth) filter (where step.depth > 0), '') as text,
        coalesce(flatten(list(step.token_ids order by step.depth) filter (where step.depth > 0)), []) as token_ids,
        coalesce(sum(len(step.token_ids)) filter (where step.depth > 0), 0)::integer as tokens,
    from ends
    inner join nodes as step using (campaign, round, tree, node_id)
    group by all
);

create view tree_paths as from tree_paths_of('nodes');

comment on macro table tree_paths_of is 'The tree_paths of a few nodes: `with few as (from nodes limit 10) from tree_paths_of(few)`.';
comment on view tree_paths is 'One row per node that can be reached from its root, with all actions from the root to it: the state s_t of the paper, without the question. Ask for trees by their ids, or tree_paths_of for a few nodes: it writes out every path that is asked for.';
comment on column tree_paths.campaign is 'Campaign of the round.';
comment on column tree_paths.round is 'Number of the round in its campaign, from 1.';
comment on column tree_paths.tree_id is 'Tree of the node (trees).';
comment on column tree_paths.node_id is 'Node at the end of the path (nodes).';
comment on column tree_paths.parent_id is 'Node before it; null for the root.';
comment on column tree_paths.depth is 'Actions on the path; 0 for the root.';
comment on column tree_paths.path is 'Node ids from the root to the node.';
comment on column tree_paths.text is 'Texts of the actions in order, concatenated.';
comment on column tree_paths.token_ids is 'Token ids of the actions in order, concatenated.';
comment on column tree_paths.tokens is 'How many they are.';

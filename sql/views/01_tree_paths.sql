create view tree_paths as
with recursive paths as (
    select
        campaign,
        round,
        tree_id,
        node_id,
        parent_id,
        0 as depth,
        [node_id] as path,
        ''::varchar as text,
        []::integer[] as token_ids,
        0 as tokens,
    from nodes
    where parent_id is null

    union all

    select
        child.campaign,
        child.round,
        child.tree_id,
        child.node_id,
        child.parent_id,
        parent.depth + 1 as depth,
        parent.path || [child.node_id] as path,
        parent.text || child.text as text,
        parent.token_ids || child.token_ids as token_ids,
        parent.tokens + len(child.token_ids)::int as tokens,
    from paths as parent
    inner join nodes as child
        on
            parent.campaign = child.campaign
            and parent.round = child.round
            and parent.tree_id = child.tree_id
            and parent.node_id = child.parent_id
)

from paths;

comment on view tree_paths is 'One row per node that can be reached from its root, with all actions from the root to it: the state s_t of the paper, without the question. Walks all trees, whatever is asked of it.';
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

-- A value target sits on the last token of a step of its path, is that step's Q (in trees with hints the mean of what ended below it without), and a trajectory ended below each (rollouts are no nodes); no step has two in a lesson, and a step under a hint has none.
with targets as (
    select
        campaign,
        round,
        lesson,
        example_id,
        tree_id,
        leaf_id as node_id,
        unnest(value_positions) + prompt_tokens - len(root.token_ids) as position,
        unnest(value_targets) as target,
    from imitations
    inner join nodes as root using (campaign, round, tree_id)
    where root.parent_id is null
),

sampled as (
    select distinct campaign, round, tree_id, backup
    from trees
    where backup = 'trajectories'
),

unhinted as (
    select campaign, round, tree_id, node_id, sum(visits * reward) / sum(visits) as q
    from (
        select nodes.campaign, nodes.round, nodes.tree_id, unnest(nodes.path) as node_id, nodes.visits, nodes.reward
        from nodes
        semi join sampled using (campaign, round, tree_id)
        where nodes.reward is not null and nodes.origin <> 'hint'
    )
    group by all
),

steps as (
    select
        campaign,
        round,
        tree_id,
        paths.node_id,
        tokens - 1 as position,
        if(sampled.backup is not null and nodes.kind in ('plan', 'step'), unhinted.q, nodes.q) as q,
        nodes.kind in ('plan', 'step') and nodes.origin = 'hint' as is_hinted,
    from tree_paths as paths
    inner join nodes using (campaign, round, tree_id, node_id)
    left join sampled using (campaign, round, tree_id)
    left join unhinted using (campaign, round, tree_id, node_id)
),

-- What ends a path that is known: a terminal, or a step with terminals below that teach nothing (malformed ones).
known as (
    select campaign, round, tree_id, node_id from nodes where reward is not null
    union
    select campaign, round, tree_id, parent_id from nodes where reward is not null and visits > 0 and origin <> 'hint'
    union
    select campaign, round, tree_id, node_id
    from nodes
    semi join (from trees where backup = 'rollouts') using (campaign, round, tree_id)
),

placed as (
    select
        targets.campaign,
        targets.round,
        targets.lesson,
        targets.example_id,
        targets.tree_id,
        targets.position,
        targets.target,
        step.node_id,
        step.q,
        step.is_hinted,
        known.node_id is not null as is_known,
        count(*) over (
            partition by targets.campaign, targets.round, targets.lesson, targets.tree_id, step.node_id
        ) as targets_of_step,
    from targets
    inner join nodes as leaf using (campaign, round, tree_id, node_id)
    left join known using (campaign, round, tree_id, node_id)
    left join steps as step
        on
            targets.campaign = step.campaign
            and targets.round = step.round
            and targets.tree_id = step.tree_id
            and targets.position = step.position
            and list_contains(leaf.path, step.node_id)
)

from placed
where not is_known or node_id is null or is_hinted or targets_of_step > 1 or (abs(target - q) <= 1e-6) is not true

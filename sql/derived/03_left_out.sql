create table left_out as
with rewards as (
    select campaign, round, tree_id, bool_or(reward > 0) as has_right, bool_or(reward < 0) as has_wrong
    from nodes
    group by all
),

taught as (
    select campaign, round, tree_id, true as is_taught from preferences
    union
    select campaign, round, tree_id, true as is_taught from imitations where weight <> 0
),

opposed as (
    select campaign, round, tree_id, parent_id, count(*) filter (where q > 0) as above, count(*) filter (where q < 0) as below
    from nodes
    where kind in ('plan', 'step', 'solution') and q <> 0
    group by all
),

compared as (
    select campaign, round, tree_id, parent_id, count(distinct (chosen_id, rejected_id)) as pairs
    from preferences
    where kind <> 'continuation' and chosen_q > 0 and rejected_q < 0
    group by all
)

select
    campaign,
    round,
    'question' as unit,
    evidence as name,
    case
        when trees.is_held_out then 'held out, to rank V'
        when state = 'failed' then 'its search failed'
        when state = 'skipped' then 'not searched: solved without'
        when not (coalesce(has_right, false) or is_solved) then 'nothing right was found'
        when not (coalesce(has_wrong, false) or (backup = 'rollouts' and trees.value < 1)) then 'nothing wrong was found, and nothing of it is imitated'
        else 'right and wrong, but no lesson took it'
    end as reason,
    count(*) as n,
from trees
left join rewards using (campaign, round, tree_id)
left join taught using (campaign, round, tree_id)
where is_taught is null
group by all

union all

select
    campaign,
    round,
    'path' as unit,
    evidence as name,
    case
        when trees.is_held_out then 'held out, to rank V'
        when trees.state = 'failed' then 'its search failed'
        when nodes.kind = 'malformed' then 'not the format'
        when nodes.kind = 'too_deep' then 'too many steps'
        when nodes.kind = 'undecided' then 'its answer could not be decided'
        when nodes.kind = 'leaked' then 'the plan gave the answer away'
        when nodes.reward < 0 then 'wrong: no path to imitate'
        else 'right, but not among those drawn'
    end as reason,
    count(*) as n,
from nodes
inner join trees using (campaign, round, tree_id)
left join (select distinct campaign, round, tree_id, leaf_id as node_id, true as is_imitated from imitations where weight <> 0)
    using (campaign, round, tree_id, node_id)
where nodes.kind in ('solution', 'malformed', 'too_deep', 'undecided', 'leaked') and is_imitated is null
group by all

union all

select
    campaign,
    round,
    'pair' as unit,
    evidence as name,
    case
        when trees.is_held_out then 'held out, to rank V'
        when trees.state = 'failed' then 'its search failed'
        else 'opposite Q, but the rule took fewer, or too few outcomes are known'
    end as reason,
    sum(above * below - coalesce(pairs, 0))::bigint as n,
from opposed
inner join trees using (campaign, round, tree_id)
left join compared using (campaign, round, tree_id, parent_id)
where above * below > coalesce(pairs, 0)
group by all;

comment on table left_out is 'One row per round, evidence and reason why a question, a path or a pair taught nothing: how many were left out (made here).';
comment on column left_out.campaign is 'Campaign of the round.';
comment on column left_out.round is 'Number of the round in its campaign, from 1.';
comment on column left_out.unit is 'question (a tree of it), path (the end of one) or pair (siblings of opposite Q).';
comment on column left_out.name is 'Name of the search in the round''s recipe.';
comment on column left_out.reason is 'Why, in words.';
comment on column left_out.n is 'How many.';

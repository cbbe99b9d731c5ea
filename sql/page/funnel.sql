-- From questions to lessons: how many there are at each station, what goes on from there, and why the rest does not.
with paired as (
    select distinct campaign, round, tree_id, true as is_paired
    from preferences
),

ends as (
    select campaign, round, tree_id, bool_or(reward > 0) as has_right, bool_or(reward < 0) as has_wrong
    from nodes
    group by all
),

grown as (
    select
        evidence,
        case
            when is_paired then 'give pairs'
            when state = 'failed' then 'failed'
            when state = 'skipped' then 'not searched: solved without'
            when is_held_out then 'held out, to rank V'
            when not (coalesce(has_right, false) or is_solved) then 'nothing right in them'
            when not (coalesce(has_wrong, false) or (backup = 'rollouts' and trees.value < 1)) then 'nothing wrong in them'
            else 'right and wrong, but no pair by the rule'
        end as part,
        coalesce(is_paired, false) as is_kept,
    from trees
    inner join ends using (campaign, round, tree_id)
    left join paired using (campaign, round, tree_id)
    where (campaign, round) = ($campaign, $round)
),

-- Evidence that no preference is drawn from is told by its trajectories alone.
pairing as (
    select evidence
    from grown
    group by evidence
    having bool_or(is_kept) or not bool_or(evidence in (select evidence from rollouts))
),

stations as (
    select
        1 as station,
        'questions' as unit,
        null as name,
        if(is_held_out, 'held out, to rank V', 'to learn from') as part,
        not is_held_out as is_kept,
        1 as n,
    from questions
    where (campaign, round) = ($campaign, $round)

    union all

    select
        2 as station,
        'rollouts' as unit,
        evidence as name,
        case
            when is_leaked then 'gave the answer away'
            when is_correct then 'right'
            when not is_correct then 'wrong'
            else 'undecided or broken off'
        end as part,
        coalesce(is_correct, false) as is_kept,
        times as n,
    from rollouts
    where (campaign, round) = ($campaign, $round)

    union all

    select 3 as station, 'trees' as unit, evidence as name, part, is_kept, 1 as n
    from grown
    where evidence in (select evidence from pairing)

    union all

    select 4 as station, 'pairs' as unit, lesson as name, kind as part, true as is_kept, 1 as n
    from preferences
    where (campaign, round) = ($campaign, $round)

    union all

    select
        5 as station,
        'paths' as unit,
        lesson as name,
        if(weight = 0, 'for their values alone', 'imitated') as part,
        weight <> 0 as is_kept,
        1 as n,
    from imitations
    where (campaign, round) = ($campaign, $round)
)

select station, unit, name, part, is_kept, sum(n)::bigint as n
from stations
group by all
order by station, name, is_kept desc, n desc, part

-- What did self-reflection buy? Questions solved by trial, where 0 is all first attempts, and those of them that are imitated; the control (as many plain samples again) is not part of it.
with tried as (
    select
        campaign,
        round,
        evidence,
        trial,
        question_id,
        bool_or(is_correct) as is_solved,
        count(*) filter (where is_leaked) as leaked,
        count(leaf_id) as imitated,
        sum(tokens * times) as tokens,
    from rollouts
    left join (
        select distinct campaign, round, tree_id, leaf_id, leaf_id as node_id
        from imitations
        where weight > 0
    ) using (campaign, round, tree_id, node_id)
    group by all
),

counted as (
    select
        campaign,
        round,
        evidence,
        trial,
        count(*) as questions_tried,
        count(*) filter (where is_solved) as first_solved,
        count(*) filter (where imitated > 0) as imitated,
        sum(leaked)::bigint as leaked,
        round(avg(tokens)) as tokens_per_question,
    from tried
    group by all
)

-- A question is tried again only while nothing was right, so trial 0 has all of them.
select
    round,
    evidence,
    trial,
    questions_tried,
    first_solved,
    round(sum(first_solved) over so_far / first_value(questions_tried) over so_far, 3) as share_solved_so_far,
    imitated,
    leaked,
    tokens_per_question,
from counted
window so_far as (partition by campaign, round, evidence order by trial)
order by all

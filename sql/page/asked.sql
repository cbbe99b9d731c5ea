-- The questions of the explorer in the order of their draw: by the digest of their ids, which knows nothing of them.
with grown as (
    select
        question_id,
        count(*) as trees,
        bool_or(is_solved) as is_solved,
        max(nodes) as nodes,
        avg(pass_rate) as pass_rate,
    from trees
    where (campaign, round) = ($campaign, $round)
    group by all
),

paired as (
    select question_id, count(distinct (tree_id, chosen_id, rejected_id)) as pairs, max(chosen_value - rejected_value) as widest
    from preferences
    where (campaign, round) = ($campaign, $round)
    group by all
)

select
    question_id,
    question,
    answer,
    solution,
    kinds,
    level,
    source,
    is_held_out,
    is_solved,
    nodes,
    pass_rate,
    coalesce(pairs, 0) as pairs,
    widest,
from questions
inner join grown using (question_id)
left join paired using (question_id)
where (campaign, round) = ($campaign, $round)
order by md5(question_id), question_id

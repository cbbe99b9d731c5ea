-- Which questions give many pairs, and which give none? By how often the policy solves them without search.
with paired as (
    select campaign, round, tree_id, count(*) as pairs
    from (select distinct campaign, round, tree_id, chosen_id, rejected_id from preferences)
    group by all
),

counted as (
    select
        campaign,
        round,
        evidence,
        trees.question_id,
        pass_rate,
        bool_and(state = 'skipped') as is_skipped,
        coalesce(sum(paired.pairs), 0) as pairs,
    from trees
    left join paired using (campaign, round, tree_id)
    where not is_held_out
    group by all
)

select
    campaign,
    round,
    evidence,
    round(pass_rate, 2) as pass_rate,
    count(*) as questions,
    count(*) filter (where is_skipped) as skipped,
    count(*) filter (where pairs = 0) as without_pairs,
    sum(pairs)::bigint as pairs,
    round(avg(pairs), 1) as pairs_per_question,
from counted
group by all
order by all

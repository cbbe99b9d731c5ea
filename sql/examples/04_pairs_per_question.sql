-- Which questions give many pairs, and which give none? By how often the policy solves them without search.
with counted as (
    select campaign, round, trees.question_id, pass_rate, state, count(pair_id) as pairs
    from trees
    left join step_pairs using (campaign, round, tree_id)
    where not is_held_out
    group by all
)

select
    round,
    round(pass_rate, 2) as pass_rate,
    count(*) as questions,
    count(*) filter (where state = 'skipped') as skipped,
    count(*) filter (where pairs = 0) as without_pairs,
    sum(pairs)::bigint as pairs,
    round(avg(pairs), 1) as pairs_per_question,
from counted
group by all
order by all

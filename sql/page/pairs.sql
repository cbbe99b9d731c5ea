-- The preferences of some questions, the most critical first.
select
    question_id,
    tree_id,
    lesson,
    kind,
    parent_id,
    chosen_id,
    rejected_id,
    chosen_value,
    rejected_value,
    chosen_value - rejected_value as gap,
from preferences
where (campaign, round) = ($campaign, $round) and question_id in (select unnest($questions))
order by gap desc, lesson, pair_id

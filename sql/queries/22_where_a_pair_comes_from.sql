-- Where does a pair come from? The widest one: question, tree, nodes, the model that wrote it, engine, settings, code.
with widest as (
    select campaign, round, lesson, pair_id
    from preferences
    order by chosen_value - rejected_value desc, campaign, round, pair_id, lesson
    limit 1
)

select pair_lineage.*
from pair_lineage
inner join widest using (campaign, round, lesson, pair_id)

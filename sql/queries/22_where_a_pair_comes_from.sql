-- Where does a pair come from? The widest one: question, tree, nodes, the model that wrote it, engine, settings, code.
select *
from pair_lineage
order by margin desc, pair_id, lesson
limit 1

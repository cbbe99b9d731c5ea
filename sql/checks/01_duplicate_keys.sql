-- A key occurs once in its table. Grouped by the columns: words with blanks in them, put together, are those of other columns, too.
select 'rounds' as table_name, concat_ws(' ', campaign, round) as key, count(*) as copies
from rounds group by campaign, round having count(*) > 1
union all
select 'stages', concat_ws(' ', campaign, round, stage), count(*)
from stages group by campaign, round, stage having count(*) > 1
union all
select 'inputs', concat_ws(' ', campaign, round, stage, input), count(*)
from inputs group by campaign, round, stage, input having count(*) > 1
union all
select 'engine_use', concat_ws(' ', campaign, round, stage), count(*)
from engine_use group by campaign, round, stage having count(*) > 1
union all
select 'questions', concat_ws(' ', campaign, round, question_id), count(*)
from questions group by campaign, round, question_id having count(*) > 1
union all
select 'imitations', concat_ws(' ', campaign, round, lesson, example_id), count(*)
from imitations group by campaign, round, lesson, example_id having count(*) > 1
union all
select 'models', concat_ws(' ', campaign, round, model), count(*)
from models group by campaign, round, model having count(*) > 1
union all
select 'evaluations', concat_ws(' ', campaign, round, model, benchmark, split, form, metric, kind), count(*)
from evaluations group by campaign, round, model, benchmark, split, form, metric, kind having count(*) > 1
union all
select 'evaluation_samples', concat_ws(' ', campaign, round, model, benchmark, split, form, metric, question_id, draw), count(*)
from evaluation_samples group by campaign, round, model, benchmark, split, form, metric, question_id, draw having count(*) > 1
union all
select 'evaluation_trajectories', concat_ws(' ', campaign, round, model, benchmark, split, question_id, draw, trajectory), count(*)
from evaluation_trajectories group by campaign, round, model, benchmark, split, question_id, draw, trajectory having count(*) > 1
union all
select 'evaluation_beams', concat_ws(' ', campaign, round, model, benchmark, split, question_id, draw, beams), count(*)
from evaluation_beams group by campaign, round, model, benchmark, split, question_id, draw, beams having count(*) > 1
union all
select 'evaluation_curves', concat_ws(' ', campaign, round, model, benchmark, split, decoding, samples), count(*)
from evaluation_curves group by campaign, round, model, benchmark, split, decoding, samples having count(*) > 1
union all
select 'value_rankings', concat_ws(' ', campaign, round, model, kind), count(*)
from value_rankings group by campaign, round, model, kind having count(*) > 1
union all
select 'artifacts', concat_ws(' ', campaign, round, stage, name), count(*)
from artifacts group by campaign, round, stage, name having count(*) > 1
union all
select 'contamination', concat_ws(' ', campaign, round, benchmark, n, is_masked, kind, benchmark_question), count(*)
from contamination group by campaign, round, benchmark, n, is_masked, kind, benchmark_question having count(*) > 1
union all
select 'pair_effects', concat_ws(' ', campaign, round, model, lesson, pair_id), count(*)
from pair_effects group by campaign, round, model, lesson, pair_id having count(*) > 1
union all
select 'second_opinions', concat_ws(' ', campaign, round, origin, name, metric, ours, gold, answer), count(*)
from second_opinions group by campaign, round, origin, name, metric, ours, gold, answer having count(*) > 1
union all
select 'nodes', concat_ws(' ', campaign, round, tree_id, node_id), count(*)
from nodes group by campaign, round, tree_id, node_id having count(*) > 1

-- What a row refers to exists in the same round.
select 'trees' as table_name, 'question_id' as column_name, campaign, round, question_id as missing
from trees anti join questions using (campaign, round, question_id)
union all
select 'preferences', 'tree_id, question_id', campaign, round, concat_ws(' ', tree_id, question_id)
from preferences anti join trees using (campaign, round, tree_id, question_id)
union all
select 'imitations', 'tree_id, question_id', campaign, round, concat_ws(' ', tree_id, question_id)
from imitations anti join trees using (campaign, round, tree_id, question_id)
union all
select 'models', 'parent', campaign, round, parent
from models
where
    parent <> 'previous'  -- the policy of the round before
    and not exists (
        from models as parents
        where
            parents.campaign = models.campaign
            and parents.round = models.round
            and parents.model = models.parent
    )
union all
select 'evaluations', 'model', campaign, round, model
from evaluations anti join models using (campaign, round, model)
union all
select 'evaluation_samples', 'model', campaign, round, model
from evaluation_samples anti join models using (campaign, round, model)
union all
select 'evaluation_trajectories', 'question_id', campaign, round, concat_ws(' ', model, benchmark, question_id)
from evaluation_trajectories
anti join evaluation_samples using (campaign, round, model, benchmark, split, question_id, draw)
union all
select 'evaluation_beams', 'question_id', campaign, round, concat_ws(' ', model, benchmark, question_id)
from evaluation_beams
anti join evaluation_samples using (campaign, round, model, benchmark, split, question_id, draw)
union all
select 'value_rankings', 'model', campaign, round, model
from value_rankings anti join models using (campaign, round, model)
union all
select 'pair_effects', 'model', campaign, round, model
from pair_effects anti join models using (campaign, round, model)
union all
select 'pair_effects', 'pair_id', campaign, round, concat_ws(' ', lesson, pair_id)
from pair_effects anti join preferences using (campaign, round, lesson, pair_id)
union all
select 'contamination', 'question_id', campaign, round, question_id
from contamination anti join questions using (campaign, round, question_id)

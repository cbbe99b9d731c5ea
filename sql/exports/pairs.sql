-- Preferences as TRL's DPOTrainer reads them (prompt, chosen, rejected), with the margin of Step-APO and where each comes from.
select
    pairs.prompt,
    pairs.chosen,
    pairs.rejected,
    pairs.chosen_value - pairs.rejected_value as margin,
    pairs.prompt_ids,
    pairs.chosen_ids,
    pairs.rejected_ids,
    pairs.chosen_q,
    pairs.rejected_q,
    pairs.chosen_value,
    pairs.rejected_value,
    pairs.kind,
    questions.question,
    questions.answer,
    questions.source,
    pairs.campaign,
    pairs.round,
    pairs.lesson,
    pairs.pair_id,
    pairs.tree_id,
    pairs.question_id
from pairs
inner join questions using (campaign, round, question_id)
where pairs.campaign = $campaign and pairs.round = $round
order by pairs.lesson, pairs.question_id, pairs.pair_id

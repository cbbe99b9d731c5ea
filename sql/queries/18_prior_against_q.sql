-- Where do the policy's prior and the search's Q disagree most? Pairs of siblings where the policy was surest of the worse step.
with surest as (
    select campaign, round, tree, chosen_id, rejected_id, question_id, chosen_prior, rejected_prior, chosen_q, rejected_q
    from preferences
    where kind in ('plan', 'step')
    qualify row_number() over (partition by campaign, round, tree_id, chosen_id, rejected_id order by lesson) = 1
    order by (rejected_prior - chosen_prior) * (chosen_q - rejected_q) desc, campaign, round, pair_id
    limit 10
)

select
    surest.campaign,
    surest.round,
    round(chosen_prior, 3) as prior_of_better,
    round(rejected_prior, 3) as prior_of_worse,
    round(chosen_q, 2) as q_of_better,
    round(rejected_q, 2) as q_of_worse,
    questions.question,
    better.text as better,
    worse.text as worse,
from surest
inner join questions using (campaign, round, question_id)
inner join nodes as better
    on
        surest.campaign = better.campaign
        and surest.round = better.round
        and surest.tree = better.tree
        and surest.chosen_id = better.node_id
inner join nodes as worse
    on
        surest.campaign = worse.campaign
        and surest.round = worse.round
        and surest.tree = worse.tree
        and surest.rejected_id = worse.node_id
order by (rejected_prior - chosen_prior) * (chosen_q - rejected_q) desc

-- Where do the policy's prior and the search's Q disagree most? Pairs of siblings where the policy was surest of the worse step.
with compared as (
    select campaign, round, lesson, tree, question_id, chosen_id, rejected_id, chosen_prior, rejected_prior, chosen_q, rejected_q,
        (rejected_prior - chosen_prior) * (chosen_q - rejected_q) as disagreement,
    from preferences
    where kind in ('plan', 'step')
    order by disagreement desc, campaign, round, tree, chosen_id, rejected_id
    limit 1000 -- a pair has a row in each lesson, and to tell all pairs apart takes seconds of ten million
),

surest as (
    from compared
    qualify row_number() over (partition by campaign, round, tree, chosen_id, rejected_id order by lesson) = 1
    order by disagreement desc, campaign, round, tree, chosen_id, rejected_id
    limit 5
),

worded as ( -- both sides at once: most of the time goes to reading what they say
    select surest.*, max(text) filter (node_id = chosen_id) as better, max(text) filter (node_id = rejected_id) as worse
    from surest
    inner join nodes
        on
            surest.campaign = nodes.campaign
            and surest.round = nodes.round
            and surest.tree = nodes.tree
            and nodes.node_id in (surest.chosen_id, surest.rejected_id)
    group by all
)

select
    campaign,
    round,
    round(chosen_prior, 3) as prior_of_better,
    round(rejected_prior, 3) as prior_of_worse,
    round(chosen_q, 2) as q_of_better,
    round(rejected_q, 2) as q_of_worse,
    question,
    better,
    worse,
from worded
inner join questions using (campaign, round, question_id)
order by disagreement desc, campaign, worded.round, tree, chosen_id, rejected_id

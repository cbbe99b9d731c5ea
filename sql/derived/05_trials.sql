create table trials as
with tried as (
    select
        campaign,
        round,
        evidence,
        trial,
        question_id,
        bool_or(is_correct) as is_right,
        count(*) filter (where is_leaked) as leaked,
        count(leaf_id) as imitated,
        sum(tokens * times) as tokens,
    from rollouts
    left join (
        select distinct campaign, round, tree_id, leaf_id, leaf_id as node_id
        from imitations
        where weight > 0
    ) using (campaign, round, tree_id, node_id)
    group by all
),

-- A question of several trees may be solved again in a later trial of another one.
first_solved as (
    select campaign, round, evidence, question_id, min(trial) as trial, true as is_solved
    from tried
    where is_right
    group by all
)

select
    campaign,
    round,
    evidence,
    trial,
    count(*) as questions,
    count(*) filter (where is_solved) as solved,
    count(*) filter (where imitated > 0) as imitated,
    sum(leaked)::bigint as leaked,
    sum(tokens)::bigint as tokens,
from tried
left join first_solved using (campaign, round, evidence, question_id, trial)
group by all;

comment on table trials is 'One row per round, evidence and trial (rollouts): what first attempts found, and what those under a hint added (made here).';
comment on column trials.campaign is 'Campaign of the round.';
comment on column trials.round is 'Number of the round in its campaign, from 1.';
comment on column trials.evidence is 'Name of the search in the round''s recipe.';
comment on column trials.trial is '0: all first attempts; from 1: those under a hint, in their order (rollouts).';
comment on column trials.questions is 'Questions tried.';
comment on column trials.solved is 'Of these, questions with a right attempt, and none in an earlier trial.';
comment on column trials.imitated is 'Of these, questions of which an attempt is imitated (imitations).';
comment on column trials.leaked is 'Plans that stated the answer.';
comment on column trials.tokens is 'Tokens of all attempts, those of reflections not counted.';

create table value_rankings (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    kind varchar not null,
    trees integer not null,
    nodes integer not null,
    value_mean double,
    value_sd double,
    sibling_auc double,
    sibling_auc_stderr double,
    sibling_pairs integer not null,
    pooled_auc double,
    prior_auc double,
);

comment on table value_rankings is 'One row per model and kind of step: how well its V ranks the steps of trees that were not trained on, by their outcome: the mean reward of the terminals below a step, weighed by visits (not Q, in which V itself is).';
comment on column value_rankings.campaign is 'Campaign of the round.';
comment on column value_rankings.round is 'Number of the round in its campaign, from 1.';
comment on column value_rankings.model is 'Model whose V is ranked (models).';
comment on column value_rankings.kind is 'plan (its steps), step (of solutions without a plan) or solution.';
comment on column value_rankings.trees is 'Held-out trees that were searched.';
comment on column value_rankings.nodes is 'Steps of the kind in them with a terminal below: those whose V was read.';
comment on column value_rankings.value_mean is 'Mean of V over these steps, in [-1, 1]; null without any.';
comment on column value_rankings.value_sd is 'Standard deviation of V over these steps: near 0, V is a constant; null without any.';
comment on column value_rankings.sibling_auc is 'Of the pairs of siblings with an outcome > 0 and one < 0, the share in which V is higher for the first, a tie counting half: what search and Step-APO rely on. In [0, 1]; a V that can not tell siblings apart has 0.5; null without pairs.';
comment on column value_rankings.sibling_auc_stderr is 'Standard error of sibling_auc, by bootstrap over questions; null with pairs of fewer than two questions.';
comment on column value_rankings.sibling_pairs is 'Those pairs of siblings.';
comment on column value_rankings.pooled_auc is 'Chance that V is higher for a step with an outcome > 0 than for one with an outcome < 0, of whatever tree, in [0, 1]: it also measures how hard the question is. Null where all outcomes have one sign.';
comment on column value_rankings.prior_auc is 'sibling_auc of the prior of the policy that searched, on the same pairs: what V adds is what lies between the two. Below 0.5 the policy prefers the worse step. Null without pairs.';

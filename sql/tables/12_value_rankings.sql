create table value_rankings (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    trees integer not null,
    nodes integer not null,
    pearson double,
    spearman double,
    auc double,
    auc_stderr double,
);

comment on table value_rankings is 'One row per model: how well its V ranks the plan steps of trees that were not trained on, by their outcome: the mean reward of the terminals below a step, weighed by visits (not Q, in which V itself is).';
comment on column value_rankings.campaign is 'Campaign of the round.';
comment on column value_rankings.round is 'Number of the round in its campaign, from 1.';
comment on column value_rankings.model is 'Model whose V is ranked (models).';
comment on column value_rankings.trees is 'Held-out trees that were searched.';
comment on column value_rankings.nodes is 'Plan steps in them with a terminal below: the nodes compared.';
comment on column value_rankings.pearson is 'Linear correlation of V with the outcome, in [-1, 1]; null where undefined.';
comment on column value_rankings.spearman is 'Rank correlation of V with the outcome, in [-1, 1]; null where undefined.';
comment on column value_rankings.auc is 'Chance that V ranks a step with an outcome > 0 above one with an outcome < 0, in [0, 1]; guessing gives 0.5; null where undefined.';
comment on column value_rankings.auc_stderr is 'Standard error of auc, by bootstrap over trees; null where undefined.';

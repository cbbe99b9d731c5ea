create table pair_effects (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    lesson varchar not null,
    pair_id varchar not null,
    kind varchar not null,
    gap double not null,
    chosen_before double not null,
    chosen_after double not null,
    rejected_before double not null,
    rejected_after double not null,
);

comment on table pair_effects is 'One row per model and preference of the lesson that it was trained on: what its training did to both sides. Log-probs are sums over the tokens of a side that are learnt (all but what max_length cuts off), in nats; where several GPUs trained, some tenths of one are rounding. No rows of a model that was trained before there was this table.';
comment on column pair_effects.campaign is 'Campaign of the round.';
comment on column pair_effects.round is 'Number of the round in its campaign, from 1.';
comment on column pair_effects.model is 'Model that was trained (models).';
comment on column pair_effects.lesson is 'Lesson that it learnt.';
comment on column pair_effects.pair_id is 'Preference of that lesson (preferences).';
comment on column pair_effects.kind is 'Kind of the preference (preferences).';
comment on column pair_effects.gap is 'Its advantage gap, chosen_value - rejected_value (preferences): what the loss of Step-APO asks for.';
comment on column pair_effects.chosen_before is 'Log-prob of the chosen side by the model that the training started from: the reference of its loss.';
comment on column pair_effects.chosen_after is 'Log-prob of the chosen side by the trained model. Below chosen_before: the training made the better side less likely, too, as preference losses may.';
comment on column pair_effects.rejected_before is 'Log-prob of the rejected side by the model that the training started from.';
comment on column pair_effects.rejected_after is 'Log-prob of the rejected side by the trained model.';

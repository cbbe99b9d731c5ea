create view learning_curve as
with curve as (
    select
        campaign,
        benchmark,
        split,
        round,
        max(n) as n,
        max(accuracy) filter (where model = 'base') as base,
        max(accuracy) filter (where model = 'sft') as sft,
        max(accuracy) filter (where model = 'sft_more') as sft_more,
        max(accuracy) filter (where model = 'step_dpo') as step_dpo,
        max(accuracy) filter (where model = 'step_apo') as step_apo,
        max(stderr) as stderr,
    from evaluations
    where kind = 'all'
    group by all
)

select
    curve.*,
    curve.step_apo - before.step_apo as gain_over_last,
from curve
left join curve as before
    on
        curve.campaign = before.campaign
        and curve.benchmark = before.benchmark
        and curve.split = before.split
        and curve.round = before.round + 1
order by curve.campaign, curve.split, curve.benchmark, curve.round;

comment on view learning_curve is 'One row per benchmark and round: the accuracies of its models side by side, to be read downwards.';
comment on column learning_curve.campaign is 'Campaign of the rounds.';
comment on column learning_curve.benchmark is 'Name of the benchmark.';
comment on column learning_curve.split is 'in_domain or out_of_domain.';
comment on column learning_curve.round is 'Number of the round in its campaign, from 1.';
comment on column learning_curve.n is 'Questions answered.';
comment on column learning_curve.base is 'Accuracy of the campaign''s base model, from which the SFT of every round starts, in [0, 1]; null where not evaluated.';
comment on column learning_curve.sft is 'Accuracy after SFT; null where not evaluated.';
comment on column learning_curve.sft_more is 'Accuracy of the control: SFT for as many more sequences as Step-APO saw; null where not evaluated.';
comment on column learning_curve.step_dpo is 'Accuracy of the same pairs without the advantage margin (alpha = 0); null where not evaluated.';
comment on column learning_curve.step_apo is 'Accuracy after Step-APO; null where not evaluated.';
comment on column learning_curve.stderr is 'Largest standard error among the row''s accuracies.';
comment on column learning_curve.gain_over_last is 'step_apo minus step_apo of the round before, which is the policy that searched in this round, in [-1, 1]; null in round 1 and where either was not evaluated.';

create view accuracy_by_round as
select
    evaluations.campaign,
    evaluations.round,
    evaluations.benchmark,
    evaluations.split,
    evaluations.kind,
    evaluations.model,
    evaluations.accuracy,
    evaluations.stderr,
    evaluations.n,
    evaluations.accuracy - base.accuracy as gain,
    sqrt(evaluations.stderr ** 2 + base.stderr ** 2) as gain_stderr,
from evaluations
left join evaluations as base
    on
        evaluations.campaign = base.campaign
        and evaluations.round = base.round
        and evaluations.benchmark = base.benchmark
        and evaluations.split = base.split
        and evaluations.kind = base.kind
        and base.model = 'base';

comment on view accuracy_by_round is 'One row per evaluation, compared with the campaign''s base model, from which the SFT of every round starts.';
comment on column accuracy_by_round.campaign is 'Campaign of the round.';
comment on column accuracy_by_round.round is 'Number of the round in its campaign, from 1.';
comment on column accuracy_by_round.benchmark is 'Name of the benchmark.';
comment on column accuracy_by_round.split is 'in_domain or out_of_domain.';
comment on column accuracy_by_round.kind is 'all, or one kind of question.';
comment on column accuracy_by_round.model is 'Model that answered.';
comment on column accuracy_by_round.accuracy is 'Share of questions answered correctly, in [0, 1].';
comment on column accuracy_by_round.stderr is 'Standard error of accuracy.';
comment on column accuracy_by_round.n is 'Questions asked.';
comment on column accuracy_by_round.gain is 'Accuracy minus that of base, asked the same in the same round, in [-1, 1]; null where base was not evaluated.';
comment on column accuracy_by_round.gain_stderr is 'Standard error of gain, taking both models as independent (cautious: they answered the same questions).';

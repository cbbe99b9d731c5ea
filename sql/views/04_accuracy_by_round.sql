create view accuracy_by_round as
with answered as (
    select
        campaign,
        round,
        benchmark,
        split,
        unnest(list_distinct(kinds || ['all'])) as kind,
        question_id,
        model,
        is_correct::int as is_correct,
    from evaluation_samples
    where is_correct is not null
),

paired as (
    select
        answered.campaign,
        answered.round,
        answered.benchmark,
        answered.split,
        answered.kind,
        answered.model,
        avg(answered.is_correct - base.is_correct) as gain,
        sqrt(var_pop(answered.is_correct - base.is_correct) / count(*)) as gain_stderr,
    from answered
    inner join answered as base
        on
            answered.campaign = base.campaign
            and answered.round = base.round
            and answered.benchmark = base.benchmark
            and answered.split = base.split
            and answered.kind = base.kind
            and answered.question_id = base.question_id
            and base.model = 'base'
    group by all
)

select
    evaluations.campaign,
    evaluations.round,
    evaluations.benchmark,
    evaluations.split,
    evaluations.kind,
    evaluations.model,
    evaluations.accuracy,
    evaluations.accuracy_low,
    evaluations.accuracy_high,
    evaluations.stderr,
    evaluations.n,
    paired.gain,
    paired.gain_stderr,
from evaluations
left join paired using (campaign, round, benchmark, split, kind, model);

comment on view accuracy_by_round is 'One row per evaluation, compared with the campaign''s base model.';
comment on column accuracy_by_round.campaign is 'Campaign of the round.';
comment on column accuracy_by_round.round is 'Number of the round in its campaign, from 1.';
comment on column accuracy_by_round.benchmark is 'Name of the benchmark.';
comment on column accuracy_by_round.split is 'in_domain or out_of_domain.';
comment on column accuracy_by_round.kind is 'all, or one kind of question.';
comment on column accuracy_by_round.model is 'Model that answered.';
comment on column accuracy_by_round.accuracy is 'Share of questions answered correctly, in [0, 1].';
comment on column accuracy_by_round.accuracy_low is 'Lower end of the 95 % confidence interval of accuracy (Wilson).';
comment on column accuracy_by_round.accuracy_high is 'Upper end of that interval.';
comment on column accuracy_by_round.stderr is 'Standard error of accuracy; 0 where all or none are right.';
comment on column accuracy_by_round.n is 'Questions answered.';
comment on column accuracy_by_round.gain is 'Accuracy minus that of base, on the questions that both answered in the same round, in [-1, 1]; null where base was not evaluated.';
comment on column accuracy_by_round.gain_stderr is 'Standard error of gain, of the differences question by question.';

create view label_noise as
select
    campaign,
    round,
    origin,
    name,
    metric,
    sum(times)::integer as answers,
    coalesce(sum(times) filter (where ours in ('right', 'wrong') and theirs in ('right', 'wrong')), 0)::integer
        as compared,
    coalesce(sum(times) filter (where ours = 'right' and theirs = 'wrong'), 0)::integer as ours_alone,
    coalesce(sum(times) filter (where ours = 'wrong' and theirs = 'right'), 0)::integer as theirs_alone,
    (ours_alone + theirs_alone) / nullif(compared, 0) as disagreement,
    coalesce(sum(times) filter (where theirs = 'unread'), 0)::integer as unread,
    coalesce(sum(times) filter (where theirs = 'undecided'), 0)::integer as theirs_undecided,
    coalesce(sum(times) filter (where ours = 'undecided'), 0)::integer as ours_undecided,
from second_opinions
group by all;

comment on view label_noise is 'One row per round and search, or benchmark and metric: how often another checker (math-verify, as it comes) disagrees on whether an answer is right. Who errs, it cannot say: read second_opinions.';
comment on column label_noise.campaign is 'Campaign of the round.';
comment on column label_noise.round is 'Number of the round in its campaign, from 1.';
comment on column label_noise.origin is 'search: terminal nodes of trees; benchmark: samples of all models, in the plan form; harness: those of the standard form, of which the harness''s verdict stands for this checker''s.';
comment on column label_noise.name is 'Name of the evidence, or of the benchmark.';
comment on column label_noise.metric is 'What counts as right (evaluations); null in a search, and where it was made before this column. A sample that two metrics judge is in both rows.';
comment on column label_noise.answers is 'Nodes or samples with an answer.';
comment on column label_noise.compared is 'Of these, answers that both checkers call right or wrong.';
comment on column label_noise.ours_alone is 'Of those, answers that are right here, or for the harness, and wrong for math-verify.';
comment on column label_noise.theirs_alone is 'Of those, answers that are wrong here, or for the harness, and right for math-verify.';
comment on column label_noise.disagreement is 'Share of the compared that the two judge differently, in [0, 1]; null without any.';
comment on column label_noise.unread is 'Answers of which math-verify cannot read this or the gold one.';
comment on column label_noise.theirs_undecided is 'Answers on which math-verify failed or took too long.';
comment on column label_noise.ours_undecided is 'Answers that this checker could not decide; they are nobody''s reward.';

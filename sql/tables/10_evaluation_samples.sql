create table evaluation_samples (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    question_id varchar not null,
    question varchar not null,
    kinds varchar[] not null,
    output varchar not null,
    answer varchar,
    is_correct boolean,
    is_undecided boolean not null,
    generated_tokens integer not null,
    error varchar,
);

comment on table evaluation_samples is 'One row per benchmark question and model: what the model wrote and how it was judged.';
comment on column evaluation_samples.campaign is 'Campaign of the round.';
comment on column evaluation_samples.round is 'Number of the round in its campaign, from 1.';
comment on column evaluation_samples.model is 'Model that answered (models).';
comment on column evaluation_samples.benchmark is 'Name of the benchmark.';
comment on column evaluation_samples.split is 'in_domain or out_of_domain, as in evaluations.';
comment on column evaluation_samples.question_id is 'Key of the question within the benchmark.';
comment on column evaluation_samples.question is 'Text of the question.';
comment on column evaluation_samples.kinds is 'Kinds of operation or subjects that the question needs.';
comment on column evaluation_samples.output is 'Whole output of the model; of several, the one whose answer counts.';
comment on column evaluation_samples.answer is 'Content of the last \boxed{} of a solution that is ended, after well-formed steps; null where there is none.';
comment on column evaluation_samples.is_correct is 'The answer equals the gold answer (answer checker); null where the question is lost: it counts in no accuracy.';
comment on column evaluation_samples.is_undecided is 'The answer check could not decide; it counts as not solved.';
comment on column evaluation_samples.generated_tokens is 'Tokens generated.';
comment on column evaluation_samples.error is 'Why the question is lost: its request failed for good; null where it did not.';

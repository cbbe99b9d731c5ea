create table evaluation_samples (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    form varchar not null,
    metric varchar not null,
    shots integer not null,
    question_id varchar not null,
    draw integer not null,
    cluster varchar,
    question varchar not null,
    kinds varchar[] not null,
    prompt_digest varchar not null,
    output varchar not null,
    answer varchar,
    outcome varchar not null,
    is_correct boolean,
    generated_tokens integer not null,
    seconds double not null,
    error varchar,
);

comment on table evaluation_samples is 'One row per benchmark question, model, form, metric and draw: what the model wrote and how it was judged.';
comment on column evaluation_samples.campaign is 'Campaign of the round.';
comment on column evaluation_samples.round is 'Number of the round in its campaign, from 1.';
comment on column evaluation_samples.model is 'Model that answered (models).';
comment on column evaluation_samples.benchmark is 'Name of the benchmark.';
comment on column evaluation_samples.split is 'in_domain or out_of_domain, as in evaluations.';
comment on column evaluation_samples.form is 'plan or standard, as in evaluations.';
comment on column evaluation_samples.metric is 'What counts as right, as in evaluations.';
comment on column evaluation_samples.shots is 'Worked examples before the question.';
comment on column evaluation_samples.question_id is 'Key of the question within the benchmark.';
comment on column evaluation_samples.draw is 'Number of the answer to the question, from 0: a random decoding answers evaluation.draws times.';
comment on column evaluation_samples.cluster is 'What the question shares with others of the benchmark: the template that all were made from; null where it shares nothing.';
comment on column evaluation_samples.question is 'Text of the question.';
comment on column evaluation_samples.kinds is 'Kinds of operation or subjects that the question needs.';
comment on column evaluation_samples.prompt_digest is 'Digest of the token ids of the prompt, worked examples among them.';
comment on column evaluation_samples.output is 'Whole output of the model; of several, the one whose answer counts.';
comment on column evaluation_samples.answer is 'What was read from the output; null where there is none. Of form plan: content of the last \boxed{} of a solution that is ended, after well-formed steps.';
comment on column evaluation_samples.outcome is 'right, wrong; truncated (a limit of tokens or steps was reached), unparsable (ended, without an answer), undecided (by the answer check); failed: the request did, for good.';
comment on column evaluation_samples.is_correct is 'The outcome is right; null where it is failed: that counts in no accuracy.';
comment on column evaluation_samples.generated_tokens is 'Tokens generated, all samples of a vote or a beam.';
comment on column evaluation_samples.seconds is 'Wall-clock seconds of the answer, waiting for the engine included.';
comment on column evaluation_samples.error is 'Why the request failed for good; null where it did not.';

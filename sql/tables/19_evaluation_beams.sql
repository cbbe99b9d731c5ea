create table evaluation_beams (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    question_id varchar not null,
    draw integer not null,
    beams integer not null,
    cluster varchar,
    answer varchar,
    is_correct boolean not null,
    generated_tokens bigint not null,
);

comment on table evaluation_beams is 'One row per answer of a beam search and number of its beams, where narrower ones were asked, too (evaluation.narrower_beams): accuracy against tokens is computed from these.';
comment on column evaluation_beams.campaign is 'Campaign of the round.';
comment on column evaluation_beams.round is 'Number of the round in its campaign, from 1.';
comment on column evaluation_beams.model is 'Model that answered (models).';
comment on column evaluation_beams.benchmark is 'Name of the benchmark.';
comment on column evaluation_beams.split is 'in_domain or out_of_domain, as in evaluations.';
comment on column evaluation_beams.question_id is 'Key of the question within the benchmark.';
comment on column evaluation_beams.draw is 'Number of the answer to the question, from 0 (evaluation_samples); its own beams are the widest.';
comment on column evaluation_beams.beams is 'Paths that were kept at every step: 1, 2, 4, … up to those of the evaluation. Each number is a search of its own.';
comment on column evaluation_beams.cluster is 'Template of the question (evaluation_samples).';
comment on column evaluation_beams.answer is 'Answer of the path with the highest V; null where none was finished.';
comment on column evaluation_beams.is_correct is 'That answer equals the gold answer (answer checker).';
comment on column evaluation_beams.generated_tokens is 'Tokens of all paths.';

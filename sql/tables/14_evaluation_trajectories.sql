create table evaluation_trajectories (
    campaign varchar not null,
    round integer not null,
    model varchar not null,
    benchmark varchar not null,
    split varchar not null,
    question_id varchar not null,
    draw integer not null,
    trajectory integer not null,
    cluster varchar,
    vote varchar,
    is_correct boolean not null,
    value double not null,
    generated_tokens integer not null,
);

comment on table evaluation_trajectories is 'One row per trajectory that a vote or best-of-n sampled for a benchmark question: what accuracy fewer of them would have had is computed from these.';
comment on column evaluation_trajectories.campaign is 'Campaign of the round.';
comment on column evaluation_trajectories.round is 'Number of the round in its campaign, from 1.';
comment on column evaluation_trajectories.model is 'Model that answered (models).';
comment on column evaluation_trajectories.benchmark is 'Name of the benchmark.';
comment on column evaluation_trajectories.split is 'in_domain or out_of_domain, as in evaluations.';
comment on column evaluation_trajectories.question_id is 'Key of the question within the benchmark.';
comment on column evaluation_trajectories.draw is 'Number of the answer to the question that it was sampled for (evaluation_samples).';
comment on column evaluation_trajectories.trajectory is 'Number within the draw, from 0; they are independent, and their order says nothing.';
comment on column evaluation_trajectories.cluster is 'Template of the question (evaluation_samples).';
comment on column evaluation_trajectories.vote is 'Answer that it votes for: answers that are equal at sight are one, named by the first; null where it has none.';
comment on column evaluation_trajectories.is_correct is 'That answer equals the gold answer (answer checker).';
comment on column evaluation_trajectories.value is 'V of its solution, in [-1, 1]; 0 where it has none.';
comment on column evaluation_trajectories.generated_tokens is 'Tokens of the trajectory.';

create table step_openings as
select
    campaign,
    round,
    regexp_extract(regexp_replace(text, '^\s*<step>\s*(?:(?:plan|step)\s+\d+[:.]?\s*)?', '', 'i'), '^\S+(?:\s+\S+){0,2}') as opening,
    count(*) as nodes,
    avg(value) as mean_value,
    avg(q) as mean_q,
    avg(outcome) as mean_outcome,
from nodes
where kind in ('plan', 'step')
group by all;

comment on table step_openings is 'One row per round and first three words of a step, its number left out: clusters of steps (made here, of nodes).';
comment on column step_openings.campaign is 'Campaign of the round.';
comment on column step_openings.round is 'Number of the round in its campaign, from 1.';
comment on column step_openings.opening is 'The words.';
comment on column step_openings.nodes is 'Steps that begin so (nodes of kind plan or step).';
comment on column step_openings.mean_value is 'Mean of their V, in [-1, 1]; null where none has one.';
comment on column step_openings.mean_q is 'Mean of their Q, in [-1, 1]; null where none was visited.';
comment on column step_openings.mean_outcome is 'Mean of what became of them (nodes.outcome), in [-1, 1]; null where nothing ended below.';

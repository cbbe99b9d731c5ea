create table repeated_steps as
select
    campaign,
    round,
    count(*) as copies,
    count(distinct words) as texts,
    count(distinct question_id) as questions,
    avg(q) as mean_q,
    min(tree_id) as tree_id,
    arg_min(node_id, (tree_id, node_id)) as node_id,
    arg_min(tree, tree_id) as tree,
from steps
semi join (select campaign, round, alike from steps group by all having count(*) > 1) using (campaign, round, alike)
inner join (select campaign, round, tree_id, question_id from trees) using (campaign, round, tree_id)
group by campaign, round, alike;

drop table steps;
drop macro bare;

comment on table repeated_steps is 'One row per round and steps that are alike but for numbers, case and white space, where there are several (made here, of nodes).';
comment on column repeated_steps.campaign is 'Campaign of the round.';
comment on column repeated_steps.round is 'Number of the round in its campaign, from 1.';
comment on column repeated_steps.copies is 'Steps that are alike (nodes of kind plan or step).';
comment on column repeated_steps.texts is 'Of these, different texts: 1, where all are duplicates word for word.';
comment on column repeated_steps.questions is 'Questions that they were written for.';
comment on column repeated_steps.mean_q is 'Mean of their Q, in [-1, 1]; null where none was visited.';
comment on column repeated_steps.tree_id is 'Tree of one of them (trees).';
comment on column repeated_steps.node_id is 'That node (nodes).';
comment on column repeated_steps.tree is 'Number of that tree (nodes).';

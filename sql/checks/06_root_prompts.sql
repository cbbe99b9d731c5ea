-- A root holds the prompt of its tree's question (and what a stepwise search settled before it), as text, in which the format's tags are taken apart, and as the tree's prompt ids; it opens a plan where the tree's steps are those of plans, else a solution.
with opened as (
    select campaign, round, tree_id, bool_or(kind = 'plan') as plans, bool_or(kind = 'step') as solves
    from nodes
    group by all
)

select
    nodes.campaign,
    nodes.round,
    nodes.tree_id,
    nodes.text,
    regexp_replace(
        trim(questions.question, E' \t\r\n'),
        '<(/?(?:question|plan|step|solution|verdict|reflection)>)',
        '< \1',
        'g'
    ) as asked,
    E'<question>\n' || asked || E'\n</question>\n' as expected,
    opened.plans,
    opened.solves,
    nodes.token_ids,
    trees.prompt_ids,
from nodes
inner join trees using (campaign, round, tree_id)
inner join opened using (campaign, round, tree_id)
inner join questions using (campaign, round, question_id)
where
    nodes.kind = 'root'
    and (
        nodes.token_ids is distinct from trees.prompt_ids
        or not (
            not opened.solves
            and if(trees.steps = 0, nodes.text = expected || E'<plan>\n', starts_with(nodes.text, expected || E'<plan>\n'))
            or not opened.plans
            and if(
                trees.steps = 0,
                nodes.text = expected || E'<solution>\n',
                starts_with(nodes.text, expected || E'<solution>\n')
            )
        )
    )

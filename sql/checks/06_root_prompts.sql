-- A root holds the prompt of its tree's question (and what a stepwise search settled before it), as text, in which the format's tags are taken apart, and as the tree's prompt ids.
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
    E'<question>\n' || asked || E'\n</question>\n<plan>\n' as expected,
    nodes.token_ids,
    trees.prompt_ids,
from nodes
inner join trees using (campaign, round, tree_id)
inner join questions using (campaign, round, question_id)
where
    nodes.kind = 'root'
    and (
        nodes.token_ids is distinct from trees.prompt_ids
        or not if(trees.steps = 0, nodes.text = expected, starts_with(nodes.text, expected))
    )

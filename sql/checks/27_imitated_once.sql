-- A lesson takes what it imitates of a question from one evidence, and all other value targets from one; scored steps may come from several.
select
    examples.campaign,
    examples.round,
    examples.lesson,
    examples.question_id,
    list(distinct trees.evidence) filter (where examples.weight <> 0 and leaf.score is null) as imitated_from,
    list(distinct trees.evidence) filter (where examples.weight = 0) as judged_by,
from imitations as examples
inner join trees using (campaign, round, tree_id)
left join nodes as leaf
    on
        examples.campaign = leaf.campaign
        and examples.round = leaf.round
        and examples.tree_id = leaf.tree_id
        and examples.leaf_id = leaf.node_id
group by examples.campaign, examples.round, examples.lesson, examples.question_id
having len(imitated_from) > 1 or len(judged_by) > 1

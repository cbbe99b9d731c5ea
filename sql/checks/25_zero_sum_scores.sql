-- The scores of the first steps of a tree that counts rollouts sum to zero, and nothing else has a score.
select trees.campaign, trees.round, trees.tree_id, trees.backup, count(nodes.score) as scores, sum(nodes.score) as total
from trees
inner join nodes using (campaign, round, tree_id)
group by all
having
    abs(coalesce(total, 0)) > 1e-6
    or (trees.backup <> 'rollouts' and scores > 0)
    or count(nodes.score) filter (where nodes.depth <> 1) > 0

"""MCTS process supervision: UCB, real rollouts, and a fresh search for every step (2501.01478, methods.md 5.1).

    UCB:    Q(v)/N(v) + c * sqrt(ln N(parent) / N(v))                        rewards 1 and 0
    score:  r_k = N_k * (Q_k/N_k - sum_m Q_m / sum_m N_m)                    over the root's children; zero-sum

One simulation goes down by UCB to a node that was sampled less than its full number of times, samples it *once*, and
lets the policy write the trajectory to its end: that reward is backed up. After `rollouts` of them the root's child
with the highest UCB is appended to the prompt, and a new tree starts there; until that child ends the trajectory.

A sample that repeats a sibling is one more rollout of that sibling, and counts as a sample of the parent: so the nodes
of a policy with few distinct steps are full, too, and UCB goes on below them. A rollout that can not be decided, or
that fills the context, is spent and backs up nothing; a child without any other is not gone down to.

The tables hold rewards of +1 and -1 as everywhere; the formulas above see them as 1 and 0. The paper's constant alpha
belongs to the training: `score` is that of alpha = 1.
"""

import math
from collections import Counter
from collections.abc import Sequence

from tasks.search.method import Ask, Backup, Draw
from tasks.search.tree import Child, Node, Tree, back_up


class Stepwise:
    """`rollouts`: simulations a step. `root_children`, `children`: samples of a node before UCB goes on below it.
    `max_steps`: steps at most. c: 1.41 where the paper is silent."""

    backup: Backup = "rollouts"

    def __init__(
        self, tree: Tree, *, rollouts: int, root_children: int, children: int, c: float, max_steps: int
    ) -> None:
        self.trees = [tree]
        self.state = "finished"
        self.rollouts = rollouts
        self.root_children = root_children
        self.children = children
        self.c = c
        self.max_steps = max_steps
        self.sampled: Counter[Node] = Counter()
        self.spent = 0  # of the tree's rollouts
        self.is_out = False
        self.is_over = False
        self.unfinished: Node | None = None  # a child whose trajectory is still to be written

    @property
    def tree(self) -> Tree:
        return self.trees[-1]

    def ask(self) -> Ask | None:
        if self.is_out:
            return None
        if self.unfinished is not None:
            asked = Ask(self.tree, self.unfinished, (Draw(1, to_the_end=True),))
        elif (node := self._select()) is not None:
            asked = Ask(self.tree, node, (Draw(1),))
        else:
            return None
        self.is_out = True
        return asked

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        self.is_out = False
        (child,) = children
        if self.unfinished is not None:
            self.tree.right_rollouts += child.reward == 1.0
            self.tree.undecided_rollouts += child.reward is None
            self._end(self.unfinished, child.reward)
            return
        self.sampled[ask.node] += 1
        same = [node for node in ask.node.children if node.action.text.strip() == child.text.strip()]
        node = same[0] if same else self.tree.add(ask.node, [child])[0]
        if node.is_terminal:
            node.is_closed = True
            self._end(node, node.action.reward)
        else:
            self.unfinished = node

    def close(self, ask: Ask) -> None:
        self.is_out = False
        ask.node.is_closed = True
        if self.unfinished is None:
            self.sampled[ask.node] += 1
        self._end(ask.node, None)

    def _end(self, node: Node, reward: float | None) -> None:
        """The end of a simulation."""
        self.unfinished = None
        self.spent += 1
        if reward is not None:
            back_up(node, reward)

    def _select(self) -> Node | None:
        """A node to sample once more; None when the last step is decided. Terminals on the way are backed up."""
        while not self.is_over:
            if self.spent >= self.rollouts:
                self._next_step()
                continue
            node = self.tree.root
            while self.sampled[node] >= self._full(node) and (below := _known(node)):
                node = max(below, key=self._ucb)
            if not node.is_terminal:
                return node
            self._end(node, node.action.reward)
        return None

    def _full(self, node: Node) -> int:
        return self.root_children if node.parent is None else self.children

    def _ucb(self, node: Node) -> float:
        """But for the half by which the mean of 1 and 0 is above that of +1 and -1, halved: it is the same for all."""
        assert node.parent is not None
        return node.q / 2 + self.c * math.sqrt(math.log(node.parent.visits) / node.visits)

    def _next_step(self) -> None:
        """Scores the root's children and starts a tree below the best, if the trajectory goes on there."""
        root = self.tree.root
        known = _known(root)
        for child in known:
            child.score = (child.total - child.visits * root.q) / 2
        best = max(known, key=self._ucb, default=root)
        steps = self.tree.steps + 1
        if best is root or best.is_terminal or steps > self.max_steps:
            self.is_over = True
            return
        self.trees.append(Tree(root.action.text + best.action.text, self.tree.state_ids(best), steps=steps))
        self.spent = 0


def _known(node: Node) -> list[Node]:
    """Its children of which a reward is known."""
    return [child for child in node.children if child.visits]

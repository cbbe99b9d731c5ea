"""MCTS process supervision: UCB, real rollouts, and a fresh search for every step (2501.01478, methods.md 5.1).

    UCB:    Q(v)/N(v) + c * sqrt(ln N(parent) / N(v))                        rewards 1 and 0
    score:  r_k = N_k * (Q_k/N_k - sum_m Q_m / sum_m N_m)                    over the root's children; zero-sum

One simulation goes down by UCB to a node with fewer than its full number of children, samples *one* child, and lets
the policy write the trajectory to its end: that reward is backed up. After `rollouts` of them the root's child with
the highest UCB is appended to the prompt, and a new tree starts there; until that child ends the trajectory.

The tables hold rewards of +1 and -1 as everywhere; the formulas above see them as 1 and 0. The paper's constant alpha
belongs to the training: `score` is that of alpha = 1. A sample that repeats a sibling is one more rollout of that
sibling.
"""

import math
from collections.abc import Sequence

from tasks.search.method import Ask, Draw
from tasks.search.tree import Child, Node, Tree, back_up


class Stepwise:
    """`rollouts`: simulations a step. `max_steps`: plan steps at most. c: 1.41 where the paper is silent."""

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
        self.is_out = False
        self.unfinished: Node | None = None  # a new child whose trajectory is still to be written

    @property
    def tree(self) -> Tree:
        return self.trees[-1]

    def ask(self) -> Ask | None:
        if self.is_out:
            return None
        if self.unfinished is None:
            leaf = self._select()
            if leaf is None:
                return None
            self.is_out = True
            return Ask(self.tree, leaf, (Draw(1),))
        self.is_out = True
        return Ask(self.tree, self.unfinished, (Draw(1, to_the_end=True),))

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        self.is_out = False
        (child,) = children
        if self.unfinished is not None:
            back_up(self.unfinished, child.reward or -1.0)
            self.unfinished = None
            return
        same = [node for node in ask.node.children if node.action.text.strip() == child.text.strip()]
        node = same[0] if same else self.tree.add(ask.node, [child])[0]
        if node.action.reward is not None:
            node.is_closed = True
            back_up(node, node.action.reward)
        else:
            self.unfinished = node

    def _select(self) -> Node | None:
        """A node that wants one more child; None when the last step is decided. Terminals on the way are backed up."""
        while True:
            if self.tree.root.visits >= self.rollouts and not self._next_step():
                return None
            node = self.tree.root
            while len(node.children) >= self._full(node):
                node = max(node.children, key=self._ucb)
            if node.action.reward is None:
                return node
            back_up(node, node.action.reward)

    def _full(self, node: Node) -> float:
        if node.is_terminal:
            return math.inf
        return self.root_children if node.parent is None else self.children

    def _ucb(self, node: Node) -> float:
        assert node.parent is not None
        wins = (node.q + 1) / 2
        return wins + self.c * math.sqrt(math.log(node.parent.visits) / node.visits)

    def _next_step(self) -> bool:
        """Scores the root's children and starts a tree below the best; False when there is no further step."""
        root = self.tree.root
        if all(child.score is None for child in root.children):
            mean = root.total / root.visits
            for child in root.children:
                child.score = (child.total - child.visits * mean) / 2
        best = max(root.children, key=self._ucb)
        steps = self.tree.steps + 1
        if best.is_terminal or steps > self.max_steps:
            return False
        self.trees.append(Tree(root.action.text + best.action.text, self.tree.state_ids(best), steps=steps))
        return True

"""Plan MCTS with PUCT and the value (CPL, methods.md 1.3; AlphaMath 2.1; the search of SVPO).

    argmax_a  Q(s,a) + c * P(a|s) * sqrt(N(s)) / (1 + N(s,a))        (the released code's form)

One simulation: select a leaf, back up its V, expand it, back up the reward of every terminal child. Where we differ:
a branch whose every leaf is terminal is *closed* and selection starts again from the root, while the released code
drops the whole tree there (nominal 200 simulations become about 38).

Several leaves may be out at a time: until a leaf comes back its path carries a virtual loss (one visit of value -1).
"""

import math
import random
from collections.abc import Callable, Sequence

from tasks.search.method import Ask, Backup, Draw
from tasks.search.tree import Child, Node, Tree

Draws = Callable[[Node], tuple[Draw, ...]]
"""What to sample at a leaf."""


class Puct:
    """`simulations`: expansions at most. `enough_right`, `hopeless_after`: the early stops of `settings.Search`."""

    backup: Backup = "values"

    def __init__(
        self,
        tree: Tree,
        draws: Draws,
        *,
        simulations: int,
        c: float,
        seed: str,
        enough_right: int,
        hopeless_after: int,
    ) -> None:
        self.trees = [tree]
        self.tree = tree
        self.draws = draws
        self.simulations = simulations
        self.c = c
        self.random = random.Random(seed)
        self.enough_right = enough_right
        self.hopeless_after = hopeless_after
        self.asked = 0
        self.expansions = 0
        self.right = 0

    def ask(self) -> Ask | None:
        if self.asked >= self.simulations or self.is_solved or self.is_hopeless:
            return None
        leaf = self.select()
        if leaf is None:
            return None
        self.asked += 1
        return Ask(self.tree, leaf, self.draws(leaf))

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        self.expand(ask.node, children)

    def close(self, ask: Ask) -> None:
        self.asked -= 1
        _bring_back(ask.node, visits=0, total=0.0, closed=True)

    @property
    def is_solved(self) -> bool:
        return 0 < self.enough_right <= self.right

    @property
    def is_hopeless(self) -> bool:
        return 0 < self.hopeless_after <= self.expansions and not self.right

    @property
    def state(self) -> str:
        if self.tree.root.is_closed:
            return "exhausted"
        if self.expansions >= self.simulations:
            return "budget"
        return "solved" if self.is_solved else "hopeless"

    def select(self) -> Node | None:
        """The leaf that PUCT leads to, marked as out; None when every leaf is closed or out."""
        node = self.tree.root
        if node.is_closed or node.is_busy:
            return None
        node.pending += 1
        while node.children:
            node = self._best_child(node)
            node.pending += 1
        node.is_busy = True
        _propagate(node)
        return node

    def _best_child(self, node: Node) -> Node:
        """PUCT over the children that can still be searched; ties are broken uniformly by the tree's seed."""
        exploration = self.c * math.sqrt(node.visits + node.pending - 1)  # less the leaf that is being selected
        scores = {}
        for child in node.children:
            if child.is_closed or child.is_busy:
                continue
            pending = child.pending
            visits = child.visits + pending
            scores[child] = exploration * child.prior / (1 + visits)
            if visits:
                scores[child] += (child.total - pending) / visits
        best = max(scores.values())
        return self.random.choice([child for child, score in scores.items() if score == best])

    def expand(self, node: Node, children: Sequence[Child]) -> None:
        """Brings a selected leaf back: backs up its V, adds its distinct children, backs up the terminal ones.

        The root's own estimate is 0: a constant there changes no choice.
        """
        self.expansions += 1
        visits = 1
        total = node.value
        closed = True
        for child in self.tree.add(node, children):
            child.is_closed = child.is_terminal
            closed = closed and child.is_closed
            if (reward := child.action.reward) is not None:
                child.visits, child.total = child.action.times, reward * child.action.times
                visits += child.visits
                total += child.total
                self.right += reward == 1.0
        _bring_back(node, visits, total, closed)


def _bring_back(node: Node, visits: int, total: float, closed: bool) -> None:
    """A leaf that was out is back, with values that sum to `total`: its path's virtual loss goes."""
    node.is_busy, node.is_closed = False, closed
    for above in node.lineage():
        above.visits += visits
        above.total += total
        above.pending -= 1
    _propagate(node)


def _propagate(node: Node) -> None:
    """Carries a change of `is_closed` or `is_busy` up: a node is closed when all its children are, and busy when
    none of them can be searched now."""
    parent = node.parent
    while parent is not None:
        unsearched = [child for child in parent.children if not child.is_closed]
        closed = not unsearched
        busy = not closed and all(child.is_busy for child in unsearched)
        if (closed, busy) == (parent.is_closed, parent.is_busy):
            return
        parent.is_closed, parent.is_busy = closed, busy
        parent = parent.parent

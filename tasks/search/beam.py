"""Step-level beam search by V, SBS(B1, B2); and what a tree without rewards answers (AlphaMath, methods.md 2.3).

    C = {s0};  while a path is open:  sample B2 steps of every s in C;  C <- the B1 of them with the highest V

The first step draws B1 * B2 samples. A finished path that is kept leaves the beam, which then is one narrower; the
answer is the best of these, and never one that the beam pruned. A malformed path is dropped.

Rewards and values are backed up as in PUCT, so that the tables mean the same; they decide nothing here.
"""

from collections.abc import Sequence
from operator import attrgetter

from tasks.check.equivalence import is_equal_at_sight
from tasks.language.format import STEPS, Kind
from tasks.search.method import Ask, Backup, Draw
from tasks.search.tree import Child, Node, Tree, back_up

BY_VALUE = attrgetter("value")


class Beam:
    """`width`: B1. `samples`: B2."""

    state = "finished"
    backup: Backup = "values"

    def __init__(self, tree: Tree, *, width: int, samples: int) -> None:
        self.trees = [tree]
        self.tree = tree
        self.width = width
        self.samples = samples
        self.to_ask = [tree.root]
        self.out = 0
        self.candidates: list[Node] = []
        self.finished: list[Node] = []
        tree.kept = self.finished

    def ask(self) -> Ask | None:
        if not self.to_ask:
            return None
        self.out += 1
        node = self.to_ask.pop(0)
        paths = self.width if node is self.tree.root else 1
        return Ask(self.tree, node, (Draw(paths * self.samples),))

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        self.out -= 1
        added = self.tree.add(ask.node, children)
        back_up(ask.node, ask.node.value)
        for node in added:
            node.is_closed = node.is_terminal
            if node.action.reward is not None:
                back_up(node, node.action.reward, times=node.action.times)
        self.candidates += added
        self._narrow()

    def close(self, ask: Ask) -> None:
        self.out -= 1
        ask.node.is_closed = True
        self._narrow()

    def _narrow(self) -> None:
        """Once all paths are a step longer: the next beam is the best of this depth, less those that are finished."""
        if self.out or self.to_ask:
            return
        valid = [node for node in self.candidates if node.action.kind in (*STEPS, Kind.SOLUTION)]
        kept = sorted(valid, key=lambda node: (-node.value, node.node_id))[: self.width]
        self.to_ask = [node for node in kept if not node.is_terminal]
        self.finished += [node for node in kept if node.is_terminal]
        self.width -= len(kept) - len(self.to_ask)
        self.candidates = []


def best_solution(tree: Tree) -> Node | None:
    """The solution with the highest V: best-of-n over a sampled tree; of a beam's finished paths, its answer."""
    return max(_solutions(tree), key=BY_VALUE, default=None)


def majority_solution(tree: Tree, *, by_value: bool = False) -> Node | None:
    """The best solution of the answer with most votes, one a trajectory: maj@k, the papers' baseline.

    `by_value`: a vote weighs 1 + V of its solution (AlphaMath). Of answers with equal votes the one that was found
    first wins.
    """

    def weight(nodes: list[Node]) -> float:
        return sum(node.visits * (1 + by_value * node.value) for node in nodes)

    winner = max(votes(tree).values(), key=weight, default=[])
    return max(winner, key=BY_VALUE, default=None)


def votes(tree: Tree) -> dict[str, list[Node]]:
    """The solutions by what they vote for: answers that are equal at sight are one, named by the first of them."""
    found: dict[str, list[Node]] = {}
    for node in _solutions(tree):
        answer = (node.action.answer or "").strip()
        same = next((one for one in found if one == answer or _agree(one, answer)), answer)
        found.setdefault(same, []).append(node)
    return found


def _agree(one: str, other: str) -> bool:
    """Each would be right if the other were the gold answer: 60 is not 60 percent, though that gold would take it."""
    return bool(is_equal_at_sight(one, other) and is_equal_at_sight(other, one))


def _solutions(tree: Tree) -> list[Node]:
    return [node for node in (tree.nodes if tree.kept is None else tree.kept) if node.action.kind is Kind.SOLUTION]

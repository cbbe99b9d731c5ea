"""Sampling that looks for the fatal step of a wrong answer (Self-Explore, methods.md 6.2; Step-DPO, 6.1).

    n trajectories, as plain sampling;  for up to `wrong` of those with a wrong answer:
        for each of its steps in turn, until none of a step's trajectories is right (the pit):
            sample up to k trajectories from there, beside the wrong one

Self-Explore: n = 100, k = 4, up to 8 wrong answers. Step-DPO looks into one answer, and a stronger model finds the
pit; rollouts do so here. All of it is one tree, so what another wrong answer passes through is sampled once, and
trajectories that are there already count towards k.

A seed draws the wrong answers that are looked into: the first to be found are those with the fewest steps. One without
a step has none to look into, and takes no other's place.

Where none of the n is right the question itself is the pit by the same rule: no step can be told from the state
before it, and there would be nothing to choose. So nothing more is sampled; both papers use solved questions alone.
"""

import random
from collections.abc import Sequence

from tasks.language.format import Kind
from tasks.search.method import Ask, Draw
from tasks.search.sampling import Sampling
from tasks.search.tree import Child, Node, Tree


class Pits(Sampling):
    """`n`: trajectories. `k`: of each step of a wrong one. `wrong`: answers that are looked into, drawn by `seed`."""

    def __init__(self, tree: Tree, *, n: int, k: int, wrong: int, seed: str) -> None:
        super().__init__(tree, n=n)
        self.k = k
        self.most = wrong
        self.random = random.Random(seed)
        self.wrong: list[Node] | None = None  # known when the first n have ended
        self.tried: set[Node] = set()
        self.out = 0

    def ask(self) -> Ask | None:
        if not self.out and not self.to_ask:
            self._look_further()
        if (ask := super().ask()) is not None:
            self.out += 1
        return ask

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        self.out -= 1
        super().take(ask, children)

    def close(self, ask: Ask) -> None:
        self.out -= 1
        super().close(ask)

    def _look_further(self) -> None:
        """Asks for what is missing of the next step whose trajectories are not all there."""
        if self.wrong is None:
            ended = (node for node in self.tree.nodes if node.action.kind is Kind.SOLUTION and node.q == -1.0)
            after_steps = [node for node in ended if node.parent is not self.tree.root]
            solved = _leads_right(self.tree.root)
            self.wrong = self.random.sample(after_steps, min(self.most, len(after_steps))) if solved else []
        for answer in self.wrong:
            for step in [*answer.lineage()][-2:0:-1]:
                if step not in self.tried:
                    self.tried.add(step)
                    if (missing := self.k + 1 - step.visits) > 0:
                        self.to_ask.append((step, Draw(missing)))
                        return
                if not _leads_right(step):
                    break


def _leads_right(node: Node) -> bool:
    """Whether any reward below it is not -1."""
    return node.total > -node.visits

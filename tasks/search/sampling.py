"""Plain sampling: whole trajectories, unguided (the baseline of every paper; best-of-n and majority vote at inference).

Trajectories that begin alike share nodes: siblings are distinct here as in every tree, and a step is continued as
often as it was sampled. Rewards alone are backed up, one a trajectory: N counts those that ended below a node, and Q is
the mean of their rewards.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tasks.search.method import Ask, Backup, Draw
from tasks.search.tree import Child, Node, Tree, back_up


class Sampling:
    """`n`: trajectories."""

    state = "finished"
    backup: Backup = "trajectories"

    def __init__(self, tree: Tree, *, n: int) -> None:
        self.trees = [tree]
        self.tree = tree
        self.to_ask: list[tuple[Node, Draw]] = [(tree.root, Draw(n))]

    def ask(self) -> Ask | None:
        if not self.to_ask:
            return None
        node, draw = self.to_ask.pop(0)
        return Ask(self.tree, node, (draw,))

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        """A step that was sampled before (under a hint, say) is continued once more."""
        trajectories: Counter[str] = Counter()
        for child in children:
            trajectories[child.text.strip()] += child.times
        self.tree.add(ask.node, children)
        for node in ask.node.children:
            n = trajectories[node.action.text.strip()]
            if node.is_terminal:
                node.is_closed = True
                if (reward := node.action.reward) is not None:
                    back_up(node, reward, times=n)
            elif n:
                self.to_ask.append((node, replace(ask.draws[0], n=n)))

    def close(self, ask: Ask) -> None:
        ask.node.is_closed = True

"""Plain sampling: whole trajectories, unguided (the baseline of every paper; best-of-n and majority vote at inference).

Trajectories that begin alike share nodes: siblings are distinct here as in every tree, and a step is continued as
often as it was sampled. A terminal backs up its reward once for each trajectory that ends there.
"""

from collections import Counter
from collections.abc import Sequence

from tasks.search.method import Ask, Draw
from tasks.search.tree import Child, Node, Tree, back_up


class Sampling:
    """`n`: trajectories."""

    state = "finished"

    def __init__(self, tree: Tree, *, n: int) -> None:
        self.trees = [tree]
        self.tree = tree
        self.to_ask: list[tuple[Node, int]] = [(tree.root, n)]

    def ask(self) -> Ask | None:
        if not self.to_ask:
            return None
        node, n = self.to_ask.pop(0)
        return Ask(self.tree, node, (Draw(n),))

    def take(self, ask: Ask, children: Sequence[Child]) -> None:
        trajectories: Counter[str] = Counter()
        for child in children:
            trajectories[child.text.strip()] += child.times
        back_up(ask.node, ask.node.value)
        for node in self.tree.add(ask.node, children):
            n = trajectories[node.action.text.strip()]
            node.is_closed = node.is_terminal
            if not node.is_closed:
                self.to_ask.append((node, n))
            elif (reward := node.action.reward) is not None:
                back_up(node, reward, times=n)

    def close(self, ask: Ask) -> None:
        ask.node.is_closed = True

"""One search tree over plan steps: selection, expansion, backup. Pure and synchronous; CPL, methods.md 1.3.

State: the question and the plan steps so far. Action: one plan step, or the complete solution. Reward: 0 for a
step, +1 / -1 for a right / wrong solution, -1 for one that is malformed or too deep. As r = 0 on plan steps,
Q(s, a) of an action is the value of the state it leads to, and is kept in the child.

    PUCT (their code's form):  argmax_a  Q(s,a) + c * P(a|s) * sqrt(N(s)) / (1 + N(s,a))
    prior:                     P(a|s) = exp(mean log-prob of the action's tokens), not normalised over siblings
    backup:                    N += 1, W += v on the node and all ancestors;  Q = W / N, and 0 where N = 0

Where we differ: a branch whose every leaf is terminal is *closed* and selection starts again from the root,
while the released code drops the whole tree there (nominal 200 simulations become about 38, methods.md 1.3).
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.format import Kind


@dataclass(frozen=True, slots=True)
class Child:
    """What an expansion adds: a sampled action, already parsed and judged.

    `logprob` is the sum over `token_ids` under the policy; `value` is V of the state the action leads to (None
    for terminals); `reward` is +1 or -1 for terminals and None for plan steps.
    """

    kind: Kind
    text: str
    token_ids: tuple[int, ...]
    logprob: float
    value: float | None = None
    reward: float | None = None
    answer: str | None = None


@dataclass(slots=True, eq=False)
class Node:
    """A state, reached by the action whose text and token ids it holds (the root's are those of the question)."""

    node_id: int
    parent: "Node | None"
    depth: int
    action: Child
    prior: float = 1.0
    visits: int = 0
    total: float = 0.0
    pending: int = 0
    children: list["Node"] = field(default_factory=list)
    is_expanded: bool = False
    is_closed: bool = False
    is_busy: bool = False

    @property
    def q(self) -> float:
        return self.total / self.visits if self.visits else 0.0

    def lineage(self) -> Iterator["Node"]:
        """The node and its ancestors, up to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent


class Tree:
    """The search tree of one question.

    Several leaves may be out at the same time: `select` hands one out and marks it, and until `expand` brings it
    back its path carries a virtual loss (one visit of value -1 for each leaf that is out below it).
    """

    def __init__(self, question: str, prompt_ids: Sequence[int], *, c_puct: float, seed: str) -> None:
        self.c_puct = c_puct
        self.random = random.Random(seed)
        self.root = Node(0, None, 0, Child(Kind.ROOT, question, tuple(prompt_ids), logprob=0.0))
        self.nodes = [self.root]
        self.expansions = 0

    def select(self) -> Node | None:
        """The leaf that PUCT leads to, marked as out; None when every leaf is closed or out."""
        node = self.root
        if node.is_closed or node.is_busy:
            return None
        while node.children:
            node = self._best_child(node)
        for ancestor in node.lineage():
            ancestor.pending += 1
        node.is_busy = True
        _propagate(node)
        return node

    def _best_child(self, node: Node) -> Node:
        """PUCT over the children that can still be searched; ties are broken uniformly by the tree's seed."""
        exploration = self.c_puct * math.sqrt(node.visits + node.pending)
        best: list[Node] = []
        best_score = -math.inf
        for child in node.children:
            if child.is_closed or child.is_busy:
                continue
            visits = child.visits + child.pending
            score = exploration * child.prior / (1 + visits)
            if visits:
                score += (child.total - child.pending) / visits
            if score > best_score:
                best, best_score = [child], score
            elif score == best_score:
                best.append(child)
        return best[0] if len(best) == 1 else self.random.choice(best)

    def expand(self, node: Node, children: Sequence[Child]) -> None:
        """Brings a selected leaf back: backs up its V, adds its distinct children, backs up the terminal ones.

        Exact duplicates (after stripping white space) are dropped; the first stays. The root's own estimate is 0:
        no step leads to it, so no V is defined there (design D2), and a constant at the root changes no choice.
        """
        self.release(node)
        node.is_expanded = True
        self.expansions += 1
        _back_up(node, node.action.value or 0.0)
        seen: set[str] = set()
        for child in children:
            if (stripped := child.text.strip()) in seen:
                continue
            seen.add(stripped)
            added = Node(len(self.nodes), node, node.depth + 1, child, prior=prior(child))
            self.nodes.append(added)
            node.children.append(added)
            if child.reward is not None:
                added.is_closed = True
                _back_up(added, child.reward)
        node.is_closed = all(child.is_closed for child in node.children)
        _propagate(node)

    def release(self, node: Node) -> None:
        """Takes back a leaf that is out, with its virtual loss."""
        for ancestor in node.lineage():
            ancestor.pending -= 1
        node.is_busy = False
        _propagate(node)

    def state_ids(self, node: Node) -> list[int]:
        """Token ids of the state: the question's prompt and every action down to `node`."""
        path = [ancestor.action.token_ids for ancestor in node.lineage()]
        return [token for ids in reversed(path) for token in ids]

    @property
    def is_exhausted(self) -> bool:
        return self.root.is_closed

    def rows(self, tree_id: str) -> list[dict[str, Any]]:
        """The rows of table `nodes`, in order of creation."""
        return [
            {
                "tree_id": tree_id,
                "node_id": node.node_id,
                "parent_id": None if node.parent is None else node.parent.node_id,
                "depth": node.depth,
                "kind": str(node.action.kind),
                "text": node.action.text,
                "token_ids": list(node.action.token_ids),
                "logprob": node.action.logprob,
                "prior": node.prior,
                "value": node.action.value,
                "visits": node.visits,
                "q": node.q if node.visits else None,
                "reward": node.action.reward,
                "answer": node.action.answer,
                "is_expanded": node.is_expanded,
                "is_closed": node.is_closed,
            }
            for node in self.nodes
        ]


def prior(action: Child) -> float:
    """Geometric mean of the action's token probabilities, in [0, 1]."""
    return math.exp(action.logprob / max(len(action.token_ids), 1))


def _back_up(node: Node, value: float) -> None:
    for ancestor in node.lineage():
        ancestor.visits += 1
        ancestor.total += value


def _propagate(node: Node) -> None:
    """Carries a change of `is_closed` or `is_busy` up: a node is closed when all its children are, and busy when
    none of them can be searched now."""
    parent = node.parent
    while parent is not None:
        closed = all(child.is_closed for child in parent.children)
        busy = not closed and all(child.is_closed or child.is_busy for child in parent.children)
        if (closed, busy) == (parent.is_closed, parent.is_busy):
            return
        parent.is_closed, parent.is_busy = closed, busy
        parent = parent.parent

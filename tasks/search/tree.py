"""The search tree of one question: states, actions, visit counts and running means. Pure and synchronous.

State: the question and the steps so far, of its plan or, without one, of its solution. Action: one step, or the end
with the answer. As r = 0 on steps, Q(s, a) of an action is the value of the state it leads to, and is kept in the child
(CPL, methods.md 1.3):

    prior:   P(a|s) = exp(mean log-prob of the sampled tokens), not normalised over siblings;
             log-probs before temperature (vLLM's raw_logprobs)
    backup:  N += 1, W += v on the node and all ancestors;  Q = W / N, and 0 where N = 0

How a tree is searched is a method's business: `tasks.search.puct`, `stepwise`, `beam`, `sampling`, `reflect`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from infra.engine.usage import Usage
from tasks.language.format import STEPS, Kind, Origin


@dataclass(frozen=True, slots=True)
class Child:
    """What an expansion adds: a sampled action, already parsed and judged.

    `logprob`: sum over the sampled tokens under the policy. `prior`: their geometric mean probability, in [0, 1].
    `value`: V of the state the action leads to, in [-1, 1]. `reward`: +1 or -1 for terminals, None for steps and for
    what can not be decided. `times`: how many samples it stands for, each of which backs up the reward. `hint`:
    the reflection under which it was written.
    """

    kind: Kind
    text: str
    token_ids: tuple[int, ...]
    logprob: float
    prior: float
    value: float | None = None
    reward: float | None = None
    answer: str | None = None
    origin: Origin = Origin.POLICY
    times: int = 1
    hint: str | None = None


@dataclass(slots=True, eq=False)
class Node:
    """A state, reached by the action whose text and token ids it holds (the root's are those of the question).

    `pending`: leaves below it that are out at the engine. `is_closed`: nothing below is left to search.
    `is_busy`: something is left, but all of it is out. `score`: what stepwise search says of its root's children.
    """

    node_id: int
    parent: "Node | None"
    depth: int
    action: Child
    prior: float = 1.0
    visits: int = 0
    total: float = 0.0
    pending: int = 0
    children: Sequence["Node"] = ()
    is_expanded: bool = False
    is_closed: bool = False
    is_busy: bool = False
    score: float | None = None

    @property
    def q(self) -> float:
        return self.total / self.visits if self.visits else 0.0

    @property
    def value(self) -> float:
        """V of its state; 0 where there is none, as at the root: no step leads to it (design D2)."""
        return self.action.value or 0.0

    @property
    def is_terminal(self) -> bool:
        """Whether it ends a trajectory, with a reward or undecided."""
        return self.action.kind not in (Kind.ROOT, *STEPS)

    def lineage(self) -> Iterator["Node"]:
        """The node and its ancestors, up to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent


class Tree:
    """Nodes below a root, which holds the text and the token ids of a prompt with `steps` steps in it.

    `kept`: the solutions that a search which prunes did not prune; None where nothing is pruned. `right_rollouts`,
    `undecided_rollouts`: what became of simulations that are no nodes.
    """

    def __init__(self, prompt: str, prompt_ids: Sequence[int], *, steps: int = 0) -> None:
        self.root = Node(0, None, 0, Child(Kind.ROOT, prompt, tuple(prompt_ids), logprob=0.0, prior=1.0))
        self.nodes = [self.root]
        self.steps = steps
        self.cost = Usage()
        self.kept: list[Node] | None = None
        self.right_rollouts = 0
        self.undecided_rollouts = 0

    def add(self, parent: Node, children: Iterable[Child]) -> list[Node]:
        """Adds children and returns their nodes. Exact duplicates, after stripping white space, are dropped.

        A step that the policy did not begin has no probability of its own: its prior is the mean of its siblings'.
        """
        parent.is_expanded = True
        seen = {node.action.text.strip() for node in parent.children}
        first, depth = len(self.nodes), parent.depth + 1
        begun: list[Node] = []
        for child in children:
            if (stripped := child.text.strip()) in seen:
                continue
            seen.add(stripped)
            node = Node(len(self.nodes), parent, depth, child, child.prior)
            self.nodes.append(node)
            if child.origin is not Origin.POLICY:
                begun.append(node)
        added = self.nodes[first:]
        parent.children = [*parent.children, *added]
        if begun:
            own = [node.prior for node in parent.children if node.action.origin is Origin.POLICY]
            for node in begun:
                node.prior = sum(own) / len(own) if own else 1.0
        return added

    def state_ids(self, node: Node) -> list[int]:
        """Token ids of the state: the question's prompt and every action down to `node`."""
        path = [ancestor.action.token_ids for ancestor in node.lineage()]
        return [token for ids in reversed(path) for token in ids]

    def plan(self, node: Node) -> str:
        """Text of the actions from the root down to `node`."""
        return "".join(above.action.text for above in [*node.lineage()][-2::-1])

    def position(self, node: Node) -> int:
        """Steps in the state of `node`, those of the root included."""
        return self.steps + node.depth

    @property
    def right(self) -> int:
        """Right solutions found so far, those of rollouts included."""
        return self.right_rollouts + sum(node.action.reward == 1.0 for node in self.nodes)

    @property
    def undecided(self) -> int:
        """Solutions found so far whose answer can not be decided, those of rollouts included."""
        return self.undecided_rollouts + sum(node.action.kind is Kind.UNDECIDED for node in self.nodes)

    def rows(self, tree_id: str) -> list[dict[str, Any]]:
        """The rows of table `nodes`, in order of creation."""
        return [
            {
                "tree_id": tree_id,
                "node_id": node.node_id,
                "parent_id": None if node.parent is None else node.parent.node_id,
                "depth": node.depth,
                "kind": str(node.action.kind),
                "origin": str(node.action.origin),
                "hint": node.action.hint,
                "text": node.action.text,
                "token_ids": list(node.action.token_ids),
                "logprob": node.action.logprob,
                "prior": node.prior,
                "value": node.action.value,
                "visits": node.visits,
                "q": node.q if node.visits else None,
                "reward": node.action.reward,
                "score": node.score,
                "answer": node.action.answer,
                "is_expanded": node.is_expanded,
                "is_closed": node.is_closed,
            }
            for node in self.nodes
        ]


def back_up(node: Node, value: float, times: int = 1) -> None:
    """Adds so many values to the node and all of its ancestors."""
    for above in node.lineage():
        above.visits += times
        above.total += times * value

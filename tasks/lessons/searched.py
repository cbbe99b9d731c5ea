"""A searched tree as the tables hold it: nodes by id and by parent, its paths, and what became of its steps."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

from tasks.language.format import STEPS, Kind, Origin

Row = dict[str, Any]

LEARNABLE = (*STEPS, Kind.SOLUTION)
"""Steps that are well-formed and decided: what a policy or a value can learn from."""


class Outcome(NamedTuple):
    """What became of a step: the mean reward in [-1, 1] of the `n` trajectories that ended below it."""

    mean: float
    n: int


class SearchedTree:
    """One tree's row of table `trees` and its rows of table `nodes`, by id and by parent."""

    def __init__(self, tree: Row, nodes: list[Row]) -> None:
        self.tree_id: str = tree["tree_id"]
        self.question_id: str = tree["question_id"]
        self.backup: str = tree["backup"]
        self.steps: int = tree["steps"]
        self.nodes = {node["node_id"]: node for node in nodes}
        self.children: dict[int, list[Row]] = {}
        for node in nodes:
            if node["parent_id"] is not None:
                self.children.setdefault(node["parent_id"], []).append(node)

    def path(self, node_id: int) -> list[Row]:
        """The nodes from the root to this one, both included."""
        path = [self.nodes[node_id]]
        while (parent := path[-1]["parent_id"]) is not None:
            path.append(self.nodes[parent])
        return path[::-1]

    @cached_property
    def outcomes(self) -> dict[int, Outcome]:
        """What became of its steps and solutions, by node id; a step without a terminal below it has no outcome.

        Not Q: from round 2 on an expanded node backs up its own V, so that even a V of noise agrees with Q, and the Q
        of a step without a terminal below is V's opinion alone. Stepwise search backs up nothing but rewards, of which
        only some are nodes: there Q is the outcome.

        What followed a step under a hint was written by who had been told the answer, and says nothing of it; a
        solution is always written without.
        """
        visited = [node for node in self.nodes.values() if node["kind"] in LEARNABLE and node["visits"]]
        if self.backup == "rollouts":
            return {node["node_id"]: Outcome(node["q"], node["visits"]) for node in visited}
        totals: dict[int, float] = {}
        counts: dict[int, int] = {}
        for terminal in self.nodes.values():
            if terminal["reward"] is None:
                continue
            for node in [terminal] if terminal["origin"] == Origin.HINT else self.path(terminal["node_id"]):
                totals[node["node_id"]] = totals.get(node["node_id"], 0.0) + terminal["visits"] * terminal["reward"]
                counts[node["node_id"]] = counts.get(node["node_id"], 0) + terminal["visits"]
        steps = [node["node_id"] for node in visited if node["node_id"] in counts]
        return {step: Outcome(totals[step] / counts[step], counts[step]) for step in steps}

    def target(self, step: Row) -> float:
        """What V should say of a step that has an outcome: the tree's Q, less what followed under a hint."""
        q: float = step["q"]
        return self.outcomes[step["node_id"]].mean if self.backup == "trajectories" else q

    @property
    def unknown(self) -> int:
        """Visited steps of which nothing is known: without an outcome."""
        visited = sum(node["kind"] in LEARNABLE and node["visits"] > 0 for node in self.nodes.values())
        return visited - len(self.outcomes)

    def follows_steps(self, parent_id: int) -> bool:
        """Whether a solution below this node has steps before it, in its tree or in the tree's prompt."""
        return parent_id != 0 or self.steps > 0

    def answers(self, reward: float) -> list[Row]:
        """Its solutions of that reward that follow steps which nobody was told, in the order in which they were
        found."""
        return [
            node
            for node in self.nodes.values()
            if node["kind"] == Kind.SOLUTION
            and node["reward"] == reward
            and node["origin"] != Origin.HINT
            and self.follows_steps(node["parent_id"])
        ]

    def leaves(self) -> list[Row]:
        """The ends of its known paths."""
        passed = {self.nodes[step]["parent_id"] for step in self.outcomes}
        return [self.nodes[step] for step in self.outcomes if step not in passed]


Found = Mapping[str, Sequence[SearchedTree]]
"""One question's trees that teach something, by evidence."""


def by_question(trees: pl.DataFrame, nodes: pl.DataFrame) -> Iterator[Found]:
    """What was found of each question, in the order of `trees`.

    Held-out trees teach nothing, nor do those that failed or were not searched.
    """
    nodes_of = nodes.partition_by("tree_id", as_dict=True)
    kept = trees.filter(~pl.col("is_held_out"), ~pl.col("state").is_in(["failed", "skipped"]))
    for question in kept.partition_by("question_id"):
        found: dict[str, list[SearchedTree]] = {}
        for tree in question.to_dicts():
            grown = SearchedTree(tree, nodes_of[tree["tree_id"],].to_dicts())
            found.setdefault(tree["evidence"], []).append(grown)
        yield found


def affordable(trees: pl.DataFrame, tokens: int) -> tuple[list[str], int]:
    """Of the questions that are learnt from the first ones, in the order of `trees`, whose searches generated no more
    than `tokens` tokens in all; and how many they generated.

    `trees`: of all evidence. What a method does to a question counts as a whole, so the budget is met but for the next
    question.
    """
    learnt_from = trees.filter(~pl.col("is_held_out")).group_by("question_id", maintain_order=True)
    cost = learnt_from.agg(pl.col("generated_tokens").sum()).with_columns(total=pl.col("generated_tokens").cum_sum())
    paid = cost.filter(pl.col("total") <= tokens)
    return paid["question_id"].to_list(), int(paid["generated_tokens"].sum())


def ids_of(path: list[Row]) -> list[int]:
    """Token ids of the nodes of a path, in one list."""
    return [token for node in path for token in node["token_ids"]]


def text_of(path: list[Row]) -> str:
    """Text of the nodes of a path, in one string."""
    return "".join(node["text"] for node in path)

"""The rule *siblings*: preferences between steps that continue the same state (methods.md 1.6).

Plan steps: all pairs of a positive and a negative Q, or the best against the worst (SVPO, 3.3). Solutions: one pair a
parent, the best against the worst, if one is right and one wrong; their values are scaled (CPL's code: 0.3). A parent
with any solution among its children counts as a solution parent. Malformed, too deep, undecided and leaked children are
left out, and so are solutions directly under the root, which follow no plan. Steps of a solution that follows no plan
are paired as plan steps are.

From round 2 on Q holds V, so a preference may be V's opinion alone: a step needs `min_outcomes` trajectories that ended
below it. The released code asks for none (0).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from tasks.language.format import STEPS, Kind
from tasks.lessons.preference import is_known, preference, sides
from tasks.lessons.rule import LessonRule
from tasks.lessons.searched import LEARNABLE, Found, Row, SearchedTree
from tasks.settings import Share


class Siblings(LessonRule):
    """Sibling steps of opposite values: table `preferences`."""

    rule: Literal["siblings"] = "siblings"
    solution_value_scale: Share = Field(
        0.3, title="Solution scale", description="Factor on the values of solution pairs. CPL's code: 0.3."
    )
    plan_pairs: Literal["all", "best_worst"] = Field(
        "all",
        title="Plan pairs",
        description="Of a parent's steps: all pairs of a positive and a negative Q (CPL), or the best against the "
        "worst of them (SVPO).",
    )
    min_gap: Annotated[float, Field(ge=0, le=2)] = Field(
        0.0, title="Gap", description="Between both Q at least. CPL: 0. SVPO: unknown, 0.5 assumed."
    )
    min_outcomes: Annotated[int, Field(ge=0)] = Field(
        1,
        title="Outcomes",
        description="Trajectories that must have ended below each step of a pair. 0, CPL's code: from round 2 on, a "
        "pair may be V's opinion alone.",
    )

    gives = "preferences"
    drops = "pairs_without_outcomes"

    def rows(self, found: Found, eos: int) -> tuple[list[Row], int]:
        return siblings(found, self)


def siblings(found: Found, rule: Siblings) -> tuple[list[Row], int]:
    """Rows of `preferences` that one question gives; and how many were dropped, for too few outcomes are known.

    Of steps that two trees compare, the one that tried the less tried of them more often has the word, then the later;
    of two evidences, the one that the rule names first.
    """
    compared: dict[object, Row] = {}
    dropped = 0
    for name in reversed(rule.evidence):
        tries = Counter[object]()
        for tree in found.get(name, ()):
            for pair in step_pairs(tree, rule):
                if pair["chosen_q"] - pair["rejected_q"] < rule.min_gap:
                    continue
                if not is_known(tree, pair, rule.min_outcomes):
                    dropped += 1
                elif (tried := _tries(tree, pair)) >= tries[about := sides(pair)]:
                    compared[about], tries[about] = pair, tried
    return list(compared.values()), dropped


def step_pairs(tree: SearchedTree, rule: Siblings) -> Iterator[Row]:
    """The preference pairs of a tree, however near (methods.md 1.6, 3.3)."""
    for parent_id, siblings in tree.children.items():
        candidates = [node for node in siblings if node["kind"] in LEARNABLE and node["visits"]]
        steps = [node for node in candidates if node["kind"] in STEPS]
        solutions = [node for node in candidates if node["kind"] == Kind.SOLUTION and tree.follows_steps(parent_id)]
        if solutions:
            best, worst = max(solutions, key=_q), min(solutions, key=_q)
            if best["q"] > 0 > worst["q"]:
                yield preference(tree, parent_id, best, worst, scale=rule.solution_value_scale)
            continue
        if rule.plan_pairs == "best_worst" and steps:
            steps = [max(steps, key=_q), min(steps, key=_q)]
        for chosen in (node for node in steps if node["q"] > 0):
            for rejected in (node for node in steps if node["q"] < 0):
                yield preference(tree, parent_id, chosen, rejected)


def _tries(tree: SearchedTree, pair: Row) -> int:
    return min(int(tree.nodes[pair[side]]["visits"]) for side in ("chosen_id", "rejected_id"))


def _q(node: Row) -> float:
    q: float = node["q"]
    return q

"""The rule *scored_steps*: every step by what it was worth beside its siblings (2501.01478, methods.md 5.1, 5.2).

A stepwise search scores the children of each root: alpha * N_k * (Q_k/N_k - sum Q / sum N). The scores of siblings add
up to 0. Each is the weight with which the step is learnt from the state before it: below 0, it becomes less likely.
What is not of the format is unlearnt as any wrong step is, so that the weights of siblings add up to 0, too. A score of
0 teaches nothing, such as that of siblings that are all right or all wrong.
"""

from typing import Literal

from pydantic import Field

from tasks.language.format import Kind
from tasks.lessons.rule import LessonRule
from tasks.lessons.searched import Found, Row, SearchedTree
from tasks.settings import Search


class ScoredSteps(LessonRule):
    """Steps by their score beside their siblings, below 0 to be unlearnt: table `imitations`."""

    rule: Literal["scored_steps"] = "scored_steps"
    evidence: tuple[str, ...] = Field(
        min_length=1, title="Evidence", description="Stepwise searches by name: no other scores its steps."
    )
    alpha: float = Field(
        gt=0,
        allow_inf_nan=False,
        title="alpha",
        description="Factor on the scores, which grow with the rollouts; it sets them against kl. Process "
        "supervision: unknown; 4 / simulations makes them at most 1. kl holds back nothing below -0.37.",
    )

    gives = "imitations"
    drops = "steps_of_score_0"
    teaches_values = False

    def rows(self, found: Found, eos: int) -> tuple[list[Row], int]:
        return scored_steps(found, self, eos)

    def refuses(self, search: Search) -> str | None:
        return None if search.method == "stepwise" else "scores no steps: only a stepwise search does"


def scored_steps(found: Found, rule: ScoredSteps, eos: int) -> tuple[list[Row], int]:
    """Rows of `imitations` that one question gives; and how many scored steps are none, for their score is 0."""
    trees = [tree for name in rule.evidence for tree in found.get(name, ())]
    scored = [(tree, node) for tree in trees for node in tree.children.get(0, ()) if node["score"] is not None]
    rows = [_row(tree, node, rule.alpha, eos) for tree, node in scored if node["score"]]
    return rows, len(scored) - len(rows)


def _row(tree: SearchedTree, step: Row, alpha: float, eos: int) -> Row:
    root = tree.nodes[0]
    ending = [eos] if step["kind"] == Kind.SOLUTION else []
    return {
        "example_id": f"{tree.tree_id}/{step['node_id']}",
        "tree_id": tree.tree_id,
        "question_id": tree.question_id,
        "leaf_id": step["node_id"],
        "origin": step["origin"],
        "weight": alpha * step["score"],
        "prompt_tokens": len(root["token_ids"]),
        "prompt_characters": len(root["text"]),
        "eos": ending[0] if ending else None,
        "prompt_ids": root["token_ids"],
        "completion_ids": step["token_ids"] + ending,
        "prompt": root["text"],
        "completion": step["text"],
        "value_positions": [],
        "value_targets": [],
    }

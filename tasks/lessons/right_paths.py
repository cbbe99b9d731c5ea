"""The rule *right_paths*: what the policy imitates, and the targets of V (methods.md 1.4, 1.5, 4.1).

Imitated are paths from question to right solution, without a malformed or hopeless (Q = -1) step, at most `most`
distinct ones a question, chosen by a seed, each once or weighed by how often it was sampled (`repeated`); a path of a
later tree (stepwise search) begins with the steps in that tree's prompt. Training may start from the base model in
every round, so what the policy knows and is not shown would be lost: where one evidence has no right path of a
question, for none was found or sought there, those of the next are.

Targets of V are the tree Q, less what followed under a hint, of every visited step that has an outcome. Each is there
exactly once, while CPL repeats a shared step in every path through it and so weighs it by its number of leaves. They
are those of the first evidence that searched the question; a path that is imitated from another brings its own. With
`most_wrong`, steps that are on no chosen path teach nothing, and wrong paths are distinct, too (AlphaMath, 2.1).
"""

import random
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from tasks.language.format import STEPS, Kind
from tasks.lessons.rule import LessonRule
from tasks.lessons.searched import Found, Row, SearchedTree, ids_of, text_of
from tasks.settings import Positive, Search


class RightPaths(LessonRule):
    """Paths to right solutions, to imitate, and the targets of V on all that was visited: table `imitations`."""

    rule: Literal["right_paths"] = "right_paths"
    evidence: tuple[str, ...] = Field(
        min_length=1,
        title="Evidence",
        description="Searches by name: the first that solved a question is imitated, the first that searched it "
        "judges its steps.",
    )
    most: Positive = Field(4, title="Most", description="Right paths a question at most. CPL: 4.")
    most_wrong: Annotated[int, Field(ge=0)] | None = Field(
        None,
        title="Most wrong",
        description="V is learnt on the imitated paths and on so many wrong ones of a question at most (AlphaMath: 4). "
        "Blank: on every step that an outcome is known of.",
    )
    repeated: bool = Field(
        False,
        title="Repeated",
        description="A path that was sampled several times weighs as many (ReST: all that is right). Off: one.",
        exclude_if=lambda repeated: not repeated,  # so that the keys of lessons without it are what they were
    )
    seed: int = Field(42, title="Seed", description="Chooses the paths.")

    gives = "imitations"
    drops = "steps_without_outcome"

    def rows(self, found: Found, eos: int) -> tuple[list[Row], int]:
        return right_paths(found, self, eos)

    def refuses(self, search: Search) -> str | None:
        if self.repeated and search.method not in ("sampling", "reflect"):
            return "counts no samples of a path: only plain sampling does (repeated)"
        if self.repeated and search.trees > 1:
            return "counts a path's samples in one tree (repeated): ask for more samples, not for more trees"
        return None


Path = tuple[SearchedTree, Row]
"""A path by its tree and its last node."""


def right_paths(found: Found, rule: RightPaths, eos: int) -> tuple[list[Row], int]:
    """Rows of `imitations` that one question gives, imitated paths first; and the visited steps that are no targets.

    The first tree's prompt is the question. Every step with an outcome gets its target in the first row that passes it.
    """
    searched = [found[name] for name in rule.evidence if name in found]
    judges = searched[0]
    right = next(filter(None, map(_right_paths, searched)), [])
    drawn = random.Random(f"{rule.seed}/{judges[0].question_id}")
    imitated = drawn.sample(right, min(rule.most, len(right)))
    judged = [(tree, leaf) for tree in judges for leaf in tree.leaves()]
    if rule.most_wrong is not None:
        ended = [(tree, leaf) for tree, leaf in judged if leaf["kind"] == Kind.SOLUTION and leaf["reward"] == -1.0]
        wrong = [*{text_of(tree.path(leaf["node_id"])): (tree, leaf) for tree, leaf in ended}.values()]
        judged = drawn.sample(wrong, min(rule.most_wrong, len(wrong)))
    question, targeted = judges[0].nodes[0], set[tuple[str, int]]()
    rows = [_row(question, path, _weight(path, rule), [eos], targeted) for path in imitated]
    known = [_row(question, path, 0.0, [], targeted) for path in judged]
    return rows + [row for row in known if row["value_targets"]], sum(tree.unknown for tree in judges)


def _right_paths(trees: Sequence[SearchedTree]) -> list[Path]:
    found: dict[str, Path] = {}
    for tree in trees:
        for leaf in tree.leaves():
            path = tree.path(leaf["node_id"])
            if _is_right(tree, path):
                found[text_of(path)] = (tree, leaf)  # a later tree of stepwise search finds again what an earlier held
    return list(found.values())


def _is_right(tree: SearchedTree, path: list[Row]) -> bool:
    steps = path[1:]
    return (
        tree.follows_steps(steps[-1]["parent_id"])
        and steps[-1]["reward"] == 1.0
        and all(node["kind"] in STEPS and node["q"] != -1.0 for node in steps[:-1])
    )


def _weight(path: Path, rule: RightPaths) -> float:
    """Where trajectories are counted, a leaf's visits are the samples that ended there."""
    _, leaf = path
    return float(leaf["visits"]) if rule.repeated else 1.0


def _row(question: Row, path: Path, weight: float, ending: list[int], targeted: set[tuple[str, int]]) -> Row:
    tree, leaf = path
    root, *steps = tree.path(leaf["node_id"])
    given_ids = root["token_ids"][len(question["token_ids"]) :]
    given = root["text"][len(question["text"]) :]
    positions, targets = [], []
    end = len(given_ids)
    for node in steps:
        end += len(node["token_ids"])
        if node["node_id"] in tree.outcomes and (key := (tree.tree_id, node["node_id"])) not in targeted:
            targeted.add(key)
            positions.append(end - 1)
            targets.append(tree.target(node))
    return {
        "example_id": f"{tree.tree_id}/{leaf['node_id']}",
        "tree_id": tree.tree_id,
        "question_id": tree.question_id,
        "leaf_id": leaf["node_id"],
        "origin": leaf["origin"],
        "weight": weight,
        "prompt_tokens": len(question["token_ids"]),
        "prompt_characters": len(question["text"]),
        "eos": ending[0] if ending else None,
        "prompt_ids": question["token_ids"],
        "completion_ids": given_ids + ids_of(steps) + ending,
        "prompt": question["text"],
        "completion": given + text_of(steps),
        "value_positions": positions,
        "value_targets": targets,
    }

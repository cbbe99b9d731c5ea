"""What searched trees and rollouts teach. Pure functions over one question (methods.md 1.4 to 1.6).

Step pairs: siblings only. Plan steps: all pairs of a positive and a negative Q. Solutions: one pair a parent, the
best against the worst, if one is right and one wrong; their values are scaled (CPL's code: 0.3). A parent with any
solution among its children counts as a solution parent. Malformed, too deep and undecided children are left out, and
so are solutions directly under the root, which follow no plan.

From round 2 on Q holds V, so a preference may be V's opinion alone: a step needs `min_outcomes` trajectories that ended
below it. The released code asks for none (0).

What is imitated, and the targets of V: `tasks.lessons.examples`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from tasks.language.format import Kind
from tasks.lessons.examples import first_success, rollout_examples, sft_examples
from tasks.lessons.searched import LEARNABLE, Row, SearchedTree, ids_of, text_of
from tasks.settings import Pairs


class Learnt(NamedTuple):
    """Rows of `step_pairs` and of `sft_examples`, and how much was dropped on the way, by its reason."""

    pairs: list[Row]
    examples: list[Row]
    dropped: Counter[str]


def learnt(rollouts: pl.DataFrame, trees: pl.DataFrame, nodes: pl.DataFrame, settings: Pairs, eos: int) -> Learnt:
    """What all questions teach that are not held out.

    A failed tree teaches nothing. A question without a right path in its trees is imitated from its first right
    rollout (LEPA, methods.md 4.1), whether its trees found none, failed, or were not grown; one that was not searched,
    because its rollouts were right, from as many of these as a tree would give paths.
    """
    nodes_of = nodes.partition_by("tree_id", as_dict=True)
    rollouts_of = rollouts.partition_by("question_id", as_dict=True)
    pairs: list[Row] = []
    examples: list[Row] = []
    dropped: Counter[str] = Counter()
    for question in trees.filter(~pl.col("is_held_out")).partition_by("question_id"):
        grown = [SearchedTree(tree, nodes_of[tree["tree_id"],].to_dicts()) for tree in question.to_dicts()]
        first = grown[0]
        attempts = rollouts_of.get((first.question_id,), rollouts.clear()).to_dicts()
        seed = f"{settings.seed}/{first.question_id}"
        if first.state == "skipped":
            examples += rollout_examples(first, attempts, settings.paths, seed, eos)
            continue
        searched = [tree for tree in grown if tree.state != "failed"]
        compared: dict[tuple[str, frozenset[str]], Row] = {}
        for tree in searched:
            preferred = list(step_pairs(tree, settings.solution_value_scale))
            known = [pair for pair in preferred if is_known(tree, pair, settings.min_outcomes)]
            # Steps that two trees of stepwise search compare: the later one tried them more often, and has the word.
            compared |= {(pair["prompt"], frozenset((pair["chosen"], pair["rejected"]))): pair for pair in known}
            dropped["pairs_without_outcomes"] += len(preferred) - len(known)
            dropped["steps_without_outcome"] += tree.unknown
        pairs += compared.values()
        found = sft_examples(searched, settings.paths, seed, eos)
        if not any(example["is_policy"] for example in found):
            found = first_success(first, attempts, eos) + found
        examples += found
    return Learnt(pairs, examples, dropped)


def step_pairs(tree: SearchedTree, solution_value_scale: float) -> Iterator[Row]:
    """The preference pairs of a tree (methods.md 1.6)."""
    for parent_id, siblings in tree.children.items():
        candidates = [node for node in siblings if node["kind"] in LEARNABLE and node["visits"]]
        plans = [node for node in candidates if node["kind"] == Kind.PLAN]
        solutions = [node for node in candidates if node["kind"] == Kind.SOLUTION and follows_plan(tree, parent_id)]
        if solutions:
            best, worst = max(solutions, key=_q), min(solutions, key=_q)
            if best["q"] > 0 > worst["q"]:
                yield _pair(tree, parent_id, best, worst, scale=solution_value_scale)
            continue
        for chosen in (node for node in plans if node["q"] > 0):
            for rejected in (node for node in plans if node["q"] < 0):
                yield _pair(tree, parent_id, chosen, rejected, scale=1.0)


def follows_plan(tree: SearchedTree, parent_id: int) -> bool:
    """Whether a solution below this node has plan steps before it, in its tree or in the tree's prompt."""
    return parent_id != 0 or tree.steps > 0


def is_known(tree: SearchedTree, pair: Row, min_outcomes: int) -> bool:
    """Whether at least so many trajectories ended below the chosen step, and below the rejected one."""
    return all(
        tree.outcomes[step].n >= min_outcomes if step in tree.outcomes else min_outcomes == 0
        for step in (pair["chosen_id"], pair["rejected_id"])
    )


def _q(node: Row) -> float:
    q: float = node["q"]
    return q


def _pair(tree: SearchedTree, parent_id: int, chosen: Row, rejected: Row, scale: float) -> Row:
    path = tree.path(parent_id)
    return {
        "pair_id": f"{tree.tree_id}/{chosen['node_id']}-{rejected['node_id']}",
        "tree_id": tree.tree_id,
        "question_id": tree.question_id,
        "parent_id": parent_id,
        "chosen_id": chosen["node_id"],
        "rejected_id": rejected["node_id"],
        "kind": chosen["kind"],
        "prompt_ids": ids_of(path),
        "chosen_ids": chosen["token_ids"],
        "rejected_ids": rejected["token_ids"],
        "prompt": text_of(path),
        "chosen": chosen["text"],
        "rejected": rejected["text"],
        "chosen_q": chosen["q"],
        "rejected_q": rejected["q"],
        "chosen_value": chosen["q"] * scale,
        "rejected_value": rejected["q"] * scale,
    }

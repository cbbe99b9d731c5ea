"""The step *pairs*: what searched trees teach. Pure functions over the trees of one question (methods.md 1.4 to 1.6).

Step pairs: siblings only. Plan steps: all pairs of a positive and a negative Q. Solutions: one pair a parent, the
best against the worst, if one is right and one wrong; their values are scaled (CPL's code: 0.3). A parent with any
solution among its children counts as a solution parent. Malformed and too-deep children are left out, and so are
solutions directly under the root, which follow no plan.

SFT paths: question to right solution, without a malformed or hopeless (Q = -1) step, at most four a question, chosen
by a seed; a path of a later tree (stepwise search) begins with the steps in that tree's prompt. A question that was
not searched, because its rollouts were right, is imitated from these: SFT starts from the base model in every round,
so what the policy knows and SFT is not shown would be lost. Value targets: the tree Q of every visited step, each
exactly once, while CPL repeats a shared step in every path through it and so weighs it by its number of leaves.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from infra.engine import ModelFolder
from infra.store import Ref
from tasks.format import SOLUTION_CLOSE, Kind
from tasks.records import frame
from tasks.settings import Pairs
from tasks.step import Stage, step

Row = dict[str, Any]

LEARNABLE = (Kind.PLAN, Kind.SOLUTION)


@step("pairs", version=4)
def make_pairs(stage: Stage, rollouts: Ref, trees: Ref, policy: Ref, settings: Pairs) -> int:
    """Tables `step_pairs` and `sft_examples`."""
    eos = ModelFolder.read(stage.store.folder(policy, "model")).words.eos
    attempts = stage.read(rollouts, "rollouts")
    pairs, examples = learnt(attempts, stage.read(trees, "trees"), stage.read(trees, "nodes"), settings, eos)
    stage.write("step_pairs", frame("step_pairs", pairs))
    stage.write("sft_examples", frame("sft_examples", examples))
    stage.facts |= {
        "plan_pairs": sum(pair["kind"] == Kind.PLAN for pair in pairs),
        "solution_pairs": sum(pair["kind"] == Kind.SOLUTION for pair in pairs),
        "policy_paths": sum(example["is_policy"] for example in examples),
        "value_targets": sum(len(example["value_targets"]) for example in examples),
    }
    return len(pairs)


def learnt(
    rollouts: pl.DataFrame, trees: pl.DataFrame, nodes: pl.DataFrame, settings: Pairs, eos: int
) -> tuple[list[Row], list[Row]]:
    """Rows of `step_pairs` and of `sft_examples`, from all trees that neither failed nor are held out."""
    nodes_of = nodes.partition_by("tree_id", as_dict=True)
    right_of = rollouts.filter("is_correct").partition_by("question_id", as_dict=True)
    usable = trees.filter(pl.col("state") != "failed", ~pl.col("is_held_out"))
    pairs: list[Row] = []
    examples: list[Row] = []
    for question in usable.partition_by("question_id", maintain_order=True):
        searched = [SearchedTree(tree, nodes_of[tree["tree_id"],].to_dicts()) for tree in question.to_dicts()]
        pairs += [pair for tree in searched for pair in step_pairs(tree, settings.solution_value_scale)]
        seed = f"{settings.seed}/{searched[0].question_id}"
        if searched[0].is_skipped:
            right = right_of.get((searched[0].question_id,), rollouts.clear())
            examples += rollout_examples(searched[0], right.to_dicts(), settings.paths, seed, eos)
        else:
            examples += sft_examples(searched, settings.paths, seed, eos)
    return pairs, examples


class SearchedTree:
    """One tree's rows of table `nodes`, by id and by parent."""

    def __init__(self, tree: Row, nodes: list[Row]) -> None:
        self.tree_id: str = tree["tree_id"]
        self.question_id: str = tree["question_id"]
        self.steps: int = tree["steps"]
        self.is_skipped: bool = tree["state"] == "skipped"
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

    def leaves(self) -> list[Row]:
        """The ends of its visited paths."""
        visited = [node for node in self.nodes.values() if node["kind"] in LEARNABLE and node["visits"]]
        passed = {node["parent_id"] for node in visited}
        return [node for node in visited if node["node_id"] not in passed]


def step_pairs(tree: SearchedTree, solution_value_scale: float) -> Iterator[Row]:
    """The preference pairs of a tree (methods.md 1.6)."""
    for parent_id, siblings in tree.children.items():
        candidates = [node for node in siblings if node["kind"] in LEARNABLE and node["visits"]]
        solutions = [node for node in candidates if node["kind"] == Kind.SOLUTION]
        if solutions:
            best, worst = max(solutions, key=_q), min(solutions, key=_q)
            if follows_plan(tree, parent_id) and best["q"] > 0 > worst["q"]:
                yield _pair(tree, parent_id, best, worst, scale=solution_value_scale)
            continue
        for chosen in (node for node in candidates if node["q"] > 0):
            for rejected in (node for node in candidates if node["q"] < 0):
                yield _pair(tree, parent_id, chosen, rejected, scale=1.0)


def follows_plan(tree: SearchedTree, parent_id: int) -> bool:
    """Whether a solution below this node has plan steps before it, in its tree or in the tree's prompt."""
    return parent_id != 0 or tree.steps > 0


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
        "prompt_ids": _ids(path),
        "chosen_ids": chosen["token_ids"],
        "rejected_ids": rejected["token_ids"],
        "prompt": _text(path),
        "chosen": chosen["text"],
        "rejected": rejected["text"],
        "chosen_q": chosen["q"],
        "rejected_q": rejected["q"],
        "chosen_value": chosen["q"] * scale,
        "rejected_value": rejected["q"] * scale,
    }


def sft_examples(trees: Sequence[SearchedTree], paths: int, seed: str, eos: int) -> list[Row]:
    """Right paths of a question to imitate, and the visited paths that are left for the value alone.

    The first tree's prompt is the question. Every visited step gets its value target in the first example that passes
    it; policy paths come first.
    """
    leaves = [(tree, leaf) for tree in trees for leaf in tree.leaves()]
    right = [place for place, (tree, leaf) in enumerate(leaves) if _is_right_path(tree, tree.path(leaf["node_id"]))]
    imitated = random.Random(seed).sample(right, min(paths, len(right)))
    others = sorted(set(range(len(leaves))) - set(imitated))
    targeted: set[tuple[str, int]] = set()
    examples = []
    for places, is_policy in ((imitated, True), (others, False)):
        for tree, leaf in (leaves[place] for place in places):
            example = _example(trees[0].nodes[0], tree, leaf, is_policy, eos, targeted)
            if is_policy or example["value_targets"]:
                examples.append(example)
    return examples


def _is_right_path(tree: SearchedTree, path: list[Row]) -> bool:
    steps = path[1:]
    return (
        tree.steps + len(steps) > 1
        and steps[-1]["reward"] == 1.0
        and all(node["kind"] == Kind.PLAN and node["q"] != -1.0 for node in steps[:-1])
    )


def rollout_examples(tree: SearchedTree, right: Sequence[Row], paths: int, seed: str, eos: int) -> list[Row]:
    """Distinct `right` rollouts of a question that was not searched, to imitate. They have no value targets."""
    question = tree.nodes[0]
    ended = {rollout["plan"] + rollout["solution"]: rollout for rollout in right if _is_ended(rollout)}
    chosen = random.Random(seed).sample(list(ended.items()), min(paths, len(ended)))
    return [
        {
            "example_id": rollout["rollout_id"],
            "tree_id": tree.tree_id,
            "question_id": tree.question_id,
            "leaf_id": None,
            "rollout_id": rollout["rollout_id"],
            "is_policy": True,
            "prompt_ids": question["token_ids"],
            "completion_ids": [*rollout["plan_ids"], *rollout["solution_ids"], eos],
            "prompt": question["text"],
            "completion": completion,
            "value_positions": [],
            "value_targets": [],
        }
        for completion, rollout in chosen
    ]


def _is_ended(rollout: Row) -> bool:
    solution: str = rollout["solution"]
    return solution.endswith(SOLUTION_CLOSE)


def _example(
    question: Row, tree: SearchedTree, leaf: Row, is_policy: bool, eos: int, targeted: set[tuple[str, int]]
) -> Row:
    root, *steps = tree.path(leaf["node_id"])
    given_ids = root["token_ids"][len(question["token_ids"]) :]
    given = root["text"][len(question["text"]) :]
    positions, targets = [], []
    end = len(given_ids)
    for node in steps:
        end += len(node["token_ids"])
        if (key := (tree.tree_id, node["node_id"])) not in targeted:
            targeted.add(key)
            positions.append(end - 1)
            targets.append(node["q"])
    return {
        "example_id": f"{tree.tree_id}/{leaf['node_id']}",
        "tree_id": tree.tree_id,
        "question_id": tree.question_id,
        "leaf_id": leaf["node_id"],
        "rollout_id": None,
        "is_policy": is_policy,
        "prompt_ids": question["token_ids"],
        "completion_ids": given_ids + _ids(steps) + ([eos] if is_policy else []),
        "prompt": question["text"],
        "completion": given + _text(steps),
        "value_positions": positions,
        "value_targets": targets,
    }


def _ids(path: list[Row]) -> list[int]:
    return [token for node in path for token in node["token_ids"]]


def _text(path: list[Row]) -> str:
    return "".join(node["text"] for node in path)

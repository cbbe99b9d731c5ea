"""Rows of `sft_examples`: what the policy imitates, and the targets of V (methods.md 1.4, 1.5, 4.1).

From trees: question to right solution, without a malformed or hopeless (Q = -1) step, at most four distinct paths a
question, chosen by a seed; a path of a later tree (stepwise search) begins with the steps in that tree's prompt.
Targets of V are the tree Q of every visited step that has an outcome, each exactly once, while CPL repeats a shared
step in every path through it and so weighs it by its number of leaves.

From rollouts: SFT starts from the base model in every round, so what the policy knows and SFT is not shown would be
lost, and what self-reflection found would never be learnt. A question that was not searched, because its rollouts were
right, is imitated from these; one whose trees hold no right path from its first success. Targets of V: the reward at
the end of a rollout and, where nothing was searched, the mean reward of the first attempts that share a step.
"""

import random
from collections.abc import Iterable, Mapping, Sequence

from tasks.language.format import STEP_CLOSE, Kind
from tasks.lessons.searched import Row, SearchedTree, ids_of, text_of


def sft_examples(trees: Sequence[SearchedTree], paths: int, seed: str, eos: int) -> list[Row]:
    """Right paths of a question's trees to imitate, and the known paths that are left for the value alone.

    The first tree's prompt is the question. Every step with an outcome gets its value target in the first example that
    passes it; policy paths come first.
    """
    leaves = [(tree, leaf) for tree in trees for leaf in tree.leaves()]
    found: dict[str, int] = {}
    for place, (tree, leaf) in enumerate(leaves):
        path = tree.path(leaf["node_id"])
        if _is_right_path(tree, path):
            found[text_of(path)] = place  # a later tree of stepwise search finds again what an earlier one held
    right = list(found.values())
    imitated = random.Random(seed).sample(right, min(paths, len(right)))
    others = sorted(set(range(len(leaves))) - set(imitated))
    targeted: set[tuple[str, int]] = set()
    examples = []
    for places, is_policy in ((imitated, True), (others, False)):
        for tree, leaf in (leaves[place] for place in places):
            example = _tree_example(trees[0].nodes[0], tree, leaf, is_policy, eos, targeted)
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


def first_success(question: SearchedTree, attempts: Iterable[Row], eos: int) -> list[Row]:
    """The first right rollout of a question: a first attempt before what followed a reflection; none, or one row."""
    right = sorted(_to_imitate(attempts), key=lambda attempt: (attempt["trial"], attempt["sample"]))
    return [_rollout_example(question, attempt, {_end(attempt): 1.0}, True, eos) for attempt in right[:1]]


def rollout_examples(question: SearchedTree, attempts: Sequence[Row], paths: int, seed: str, eos: int) -> list[Row]:
    """Distinct right rollouts of a question that was not searched, to imitate, and its others for the value alone.

    Every state that first attempts reached gets its target, the mean of their rewards, in the first example that
    passes it. A state is the text of the steps so far, or of the whole rollout.
    """
    first = [attempt for attempt in attempts if attempt["trial"] == 0 and attempt["is_correct"] is not None]
    rewards: dict[str, list[float]] = {}
    for attempt in first:
        for state in _states(attempt):
            rewards.setdefault(state, []).append(1.0 if attempt["is_correct"] else -1.0)
    right = list({_text(attempt): attempt for attempt in _to_imitate(attempts)}.values())
    imitated = random.Random(seed).sample(right, min(paths, len(right)))
    others = {_text(attempt): attempt for attempt in first if attempt["answer"] is not None}
    targeted: set[str] = set()
    examples = []
    for chosen, is_policy in ((imitated, True), (others.values(), False)):
        for attempt in chosen:
            targets = {_end(attempt): 1.0} if is_policy else {}
            for state, position in _states(attempt).items():
                if state in rewards and state not in targeted:
                    targeted.add(state)
                    targets[position] = sum(rewards[state]) / len(rewards[state])
            if is_policy or targets:
                examples.append(_rollout_example(question, attempt, targets, is_policy, eos))
    return examples


def _to_imitate(attempts: Iterable[Row]) -> list[Row]:
    """Right ones that were not told the answer."""
    return [attempt for attempt in attempts if attempt["is_correct"] and not attempt["is_leaked"]]


def _states(attempt: Row) -> dict[str, int]:
    """The states that an attempt passed, and where V is read: the token that ends a step, or the solution."""
    steps = attempt["plan"].split(STEP_CLOSE)
    states = {STEP_CLOSE.join(steps[:number]): end for number, end in enumerate(attempt["step_ends"], start=1)}
    return states if attempt["answer"] is None else states | {_text(attempt): _end(attempt)}


def _text(attempt: Row) -> str:
    text: str = attempt["plan"] + attempt["solution"]
    return text


def _end(attempt: Row) -> int:
    return len(attempt["plan_ids"]) + len(attempt["solution_ids"]) - 1


def _rollout_example(
    question: SearchedTree, attempt: Row, targets: Mapping[int, float], is_policy: bool, eos: int
) -> Row:
    """`targets`: by their position in the rollout's token ids."""
    root = question.nodes[0]
    return {
        "example_id": attempt["rollout_id"],
        "tree_id": question.tree_id,
        "question_id": question.question_id,
        "leaf_id": None,
        "rollout_id": attempt["rollout_id"],
        "origin": "rollout" if attempt["reflection"] is None else "reflection",
        "is_policy": is_policy,
        "prompt_ids": root["token_ids"],
        "completion_ids": [*attempt["plan_ids"], *attempt["solution_ids"]] + ([eos] if is_policy else []),
        "prompt": root["text"],
        "completion": _text(attempt),
        "value_positions": sorted(targets),
        "value_targets": [targets[position] for position in sorted(targets)],
    }


def _tree_example(
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
        "origin": "tree",
        "is_policy": is_policy,
        "prompt_ids": question["token_ids"],
        "completion_ids": given_ids + ids_of(steps) + ([eos] if is_policy else []),
        "prompt": question["text"],
        "completion": given + text_of(steps),
        "value_positions": positions,
        "value_targets": targets,
    }

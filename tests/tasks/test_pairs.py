"""What a searched tree teaches, on a tree small enough to read."""

from typing import Any

import polars as pl

from tasks.pairs import SearchedTree, learnt, sft_examples, step_pairs
from tasks.settings import Pairs

EOS = 0


def node(
    node_id: int,
    parent_id: int | None,
    kind: str,
    q: float | None,
    *,
    visits: int = 1,
    reward: float | None = None,
) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "parent_id": parent_id,
        "kind": kind,
        "text": f"<{node_id}>",
        "token_ids": [node_id * 10 + 1, node_id * 10 + 2],
        "visits": visits,
        "q": q,
        "reward": reward,
    }


def tree(*nodes: dict[str, Any], tree_id: str = "t", steps: int = 0) -> SearchedTree:
    return SearchedTree({"tree_id": tree_id, "question_id": "t", "steps": steps, "state": "budget"}, list(nodes))


#                root
#     1: +.5      2: -.5    3: +.2   4: unvisited   5: malformed
#     6 right 7 wrong 8 wrong   9: -1 plan   11 right
#                               10 wrong
FOREST = tree(
    node(0, None, "root", 0.1, visits=12),
    node(1, 0, "plan", 0.5),
    node(2, 0, "plan", -0.5),
    node(3, 0, "plan", 0.2),
    node(4, 0, "plan", None, visits=0),
    node(5, 0, "malformed", -1.0, reward=-1.0),
    node(6, 1, "solution", 1.0, reward=1.0),
    node(7, 1, "solution", -1.0, reward=-1.0),
    node(8, 1, "solution", -1.0, reward=-1.0),
    node(9, 2, "plan", -1.0),
    node(10, 9, "solution", -1.0, reward=-1.0),
    node(11, 3, "solution", 1.0, reward=1.0),
)


def test_all_positive_negative_plan_siblings_and_one_solution_pair_a_parent() -> None:
    pairs = list(step_pairs(FOREST, solution_value_scale=0.3))
    assert [(pair["chosen_id"], pair["rejected_id"], pair["kind"]) for pair in pairs] == [
        (1, 2, "plan"),
        (3, 2, "plan"),
        (6, 7, "solution"),
    ]
    assert [(pair["chosen_value"], pair["rejected_value"]) for pair in pairs] == [(0.5, -0.5), (0.2, -0.5), (0.3, -0.3)]


def test_a_pairs_prefix_is_its_parents_path() -> None:
    pair = list(step_pairs(FOREST, 0.3))[-1]
    assert pair["prompt"] == "<0><1>"
    assert pair["prompt_ids"] == [1, 2, 11, 12]
    assert (pair["chosen_ids"], pair["rejected_ids"]) == ([61, 62], [71, 72])


def test_a_solution_among_the_siblings_leaves_only_the_solution_pair() -> None:
    mixed = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.1),
        node(2, 1, "plan", 0.9),
        node(3, 1, "plan", -0.9),
        node(4, 1, "solution", 1.0, reward=1.0),
        node(5, 1, "solution", -1.0, reward=-1.0),
    )
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(mixed, 0.3)] == [(4, 5)]


def test_solutions_without_a_plan_make_no_pair_and_no_path() -> None:
    planless = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "solution", 1.0, reward=1.0),
        node(2, 0, "solution", -1.0, reward=-1.0),
    )
    assert list(step_pairs(planless, 0.3)) == []
    assert not any(example["is_policy"] for example in sft_examples([planless], 4, "s", EOS))


def test_right_paths_are_imitated_to_their_end_of_sequence() -> None:
    examples = [example for example in sft_examples([FOREST], paths=4, seed="s", eos=EOS) if example["is_policy"]]
    assert {example["completion"] for example in examples} == {"<1><6>", "<3><11>"}
    assert all(example["completion_ids"][-1] == EOS for example in examples)
    assert all(example["prompt_ids"] == [1, 2] for example in examples)


def test_no_more_paths_than_asked_and_the_same_seed_chooses_the_same() -> None:
    chosen = [
        [example["leaf_id"] for example in sft_examples([FOREST], paths=1, seed=seed, eos=EOS) if example["is_policy"]]
        for seed in ("a", "a", "b", "c", "d", "e")
    ]
    assert all(len(ids) == 1 for ids in chosen)
    assert chosen[0] == chosen[1]
    assert len({ids[0] for ids in chosen}) == 2


def test_every_visited_step_has_one_value_target_at_its_last_token() -> None:
    examples = sft_examples([FOREST], paths=1, seed="s", eos=EOS)
    targets: dict[int, float] = {}
    for example in examples:
        for position, target in zip(example["value_positions"], example["value_targets"], strict=True):
            token = example["completion_ids"][position]
            assert token % 10 == 2
            assert token // 10 not in targets
            targets[token // 10] = target
    assert targets == {1: 0.5, 2: -0.5, 3: 0.2, 6: 1.0, 7: -1.0, 8: -1.0, 9: -1.0, 10: -1.0, 11: 1.0}


def test_a_path_of_a_later_tree_begins_at_the_question() -> None:
    """Stepwise search: step 2 of the first tree is in the second one's prompt."""
    first = tree(
        node(0, None, "root", 0.5, visits=3),
        node(1, 0, "plan", -0.5),
        node(2, 0, "plan", 0.5),
    )
    later = tree(
        node(0, None, "root", 0.5, visits=3) | {"text": "<0><2>", "token_ids": [1, 2, 21, 22]},
        node(1, 0, "plan", 0.5),
        node(2, 1, "solution", 1.0, reward=1.0),
        node(3, 1, "solution", 1.0, reward=1.0),
        tree_id="t/step-1",
        steps=1,
    )
    imitated, *others = sft_examples([first, later], paths=1, seed="s", eos=EOS)
    leaf = imitated["leaf_id"]
    assert (imitated["prompt"], imitated["prompt_ids"]) == ("<0>", [1, 2])
    assert imitated["completion"] == f"<2><1><{leaf}>"
    assert imitated["completion_ids"] == [21, 22, 11, 12, leaf * 10 + 1, leaf * 10 + 2, EOS]
    assert (imitated["value_positions"], imitated["value_targets"]) == ([3, 5], [0.5, 1.0])
    assert not any(example["is_policy"] for example in others)
    assert {example["completion"] for example in others} == {"<1>", "<2>", f"<2><1><{5 - leaf}>"}


def test_a_question_that_was_not_searched_is_imitated_from_its_right_rollouts() -> None:
    def rollout(number: int, plan: int, solution: str, *, is_correct: bool) -> dict[str, Any]:
        ids = {"plan_ids": [plan, plan + 1], "solution_ids": [90 + number]}
        said = {"plan": f"<{plan}>", "solution": solution, "is_correct": is_correct}
        return {"rollout_id": f"q/{number}.0", "question_id": "q"} | said | ids

    rollouts = [
        rollout(0, 10, "5</solution>", is_correct=True),
        rollout(1, 10, "5</solution>", is_correct=True),  # the same words again
        rollout(2, 20, "5</solution>", is_correct=True),
        rollout(3, 30, "5 and on and on", is_correct=True),  # cut off behind its answer
        rollout(4, 40, "6</solution>", is_correct=False),
    ]
    trees = pl.DataFrame({"tree_id": "q", "question_id": "q", "steps": 0, "state": "skipped", "is_held_out": False})
    nodes = pl.DataFrame([node(0, None, "root", None, visits=0) | {"tree_id": "q"}])
    pairs, examples = learnt(pl.DataFrame(rollouts), trees, nodes, Pairs(paths=4), EOS)
    assert pairs == []
    taught = {example["completion"]: example["completion_ids"] for example in examples}
    assert taught.keys() == {"<10>5</solution>", "<20>5</solution>"}
    assert taught["<20>5</solution>"] == [20, 21, 92, EOS]
    assert all(example["is_policy"] and example["prompt_ids"] == [1, 2] for example in examples)
    assert len(learnt(pl.DataFrame(rollouts), trees, nodes, Pairs(paths=1), EOS)[1]) == 1

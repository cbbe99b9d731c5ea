"""Accuracies with their errors, and how V's ranking is judged."""

import asyncio
import math
import random
from typing import Any, cast

import pytest

from tasks.check import Checker
from tasks.evaluate import accuracies, agreement, outcomes
from tasks.evaluate import sample as evaluated
from tasks.pairs import SearchedTree
from tasks.policy import ServedPolicy, Written
from tasks.records import frame
from tasks.search.grow import PolicyError, Task, grow
from tasks.settings import Evaluation, Search
from tests.sql.handmade import NODES, ROUND
from tests.tasks.scripted import ScriptedPolicy


def sample(number: int, kinds: list[str], is_correct: bool) -> dict[str, object]:
    return {
        "model": "base",
        "benchmark": "micro/test",
        "split": "in_domain",
        "question_id": f"q{number}",
        "question": "?",
        "kinds": kinds,
        "output": "",
        "answer": None,
        "is_correct": is_correct,
        "generated_tokens": 1,
        "error": None,
    }


def test_accuracy_over_all_and_by_kind() -> None:
    rows = [
        sample(0, ["add"], True),
        sample(1, ["add", "sub", "add"], True),
        sample(2, ["sub"], False),
        sample(3, [], False),
    ]
    table = {row["kind"]: row for row in accuracies(frame("evaluation_samples", rows)).to_dicts()}
    assert (table["all"]["accuracy"], table["all"]["n"]) == (0.5, 4)
    assert table["all"]["stderr"] == pytest.approx(math.sqrt(0.25 / 4))
    assert (table["add"]["accuracy"], table["add"]["n"]) == (1.0, 2)
    assert (table["sub"]["accuracy"], table["sub"]["n"]) == (0.5, 2)
    assert table.keys() == {"all", "add", "sub"}


def test_a_question_that_got_no_answer_counts_as_not_solved() -> None:
    class Gone:
        def question(self, question: str) -> list[int]:
            return [1]

        async def write(self, prompt_ids: list[int], **about: Any) -> Written:
            raise PolicyError("the engine is gone")

    asked = {"benchmark": "micro/test", "split": "in_domain", "question_id": "q", "question": "?", "kinds": ["add"]}
    policy, checker = cast(ServedPolicy, Gone()), cast(Checker, None)
    part = asyncio.run(evaluated(asked, 0, "base", policy, checker, Evaluation(decoding="greedy")))
    assert part.error == "the engine is gone"
    [row] = part.rows["evaluation_samples"]
    counted = accuracies(frame("evaluation_samples", [sample(0, ["add"], True), dict(row)]))
    assert counted.filter(kind="all").select("accuracy", "n").row(0) == (0.5, 2)


def handmade(tree_id: str) -> SearchedTree:
    [tree] = [tree for tree in ROUND["trees"] if tree["tree_id"] == tree_id]
    return SearchedTree(tree, [node for node in NODES if node["tree_id"] == tree_id])


def test_an_outcome_is_the_mean_reward_of_the_terminals_below() -> None:
    assert outcomes(handmade("t1")) == {1: 0.0, 2: -1.0}, (
        "wrong and malformed ends count; the unvisited step 7 has none"
    )
    assert outcomes(handmade("t2")) == {1: 1.0}, "its Q is 0.75: its own V of 0.5 is in there"


def test_a_terminal_counts_as_often_as_it_was_visited() -> None:
    tree = handmade("t1")
    tree.nodes[3] = tree.nodes[3] | {"visits": 3}
    assert outcomes(tree)[1] == 0.5


def test_a_step_whose_only_visit_is_its_own_expansion_has_no_outcome() -> None:
    tree = handmade("t2")
    tree.nodes[2] = tree.nodes[2] | {"kind": "plan", "reward": None, "visits": 0, "q": None}
    tree.nodes[1] = tree.nodes[1] | {"visits": 1, "q": tree.nodes[1]["value"]}
    assert outcomes(tree) == {}


def test_a_search_guided_by_noise_gives_the_noise_no_credit() -> None:
    """The scripted policy's V is noise: it agrees with Q, of which it is a part, not with what became of the steps."""

    async def is_even(answer: str) -> bool:
        return int(answer) % 2 == 0

    settings = Search(simulations=24)
    values: list[float] = []
    qs: list[float] = []
    outcome_of: list[float] = []
    owners: list[int] = []
    for number in range(60):
        task = Task(f"q{number}", "?", (5, 100 + number), is_even, settings.simulations)
        grown = asyncio.run(grow(task, ScriptedPolicy(seed=1), settings))
        tree = SearchedTree(grown.tree_rows[0], grown.node_rows)
        for node_id, outcome in outcomes(tree).items():
            values.append(tree.nodes[node_id]["value"])
            qs.append(tree.nodes[node_id]["q"])
            outcome_of.append(outcome)
            owners.append(number)
    credited, fair = agreement(values, qs, owners), agreement(values, outcome_of, owners)
    assert credited["auc"] is not None
    assert credited["auc_stderr"] is not None
    assert fair["auc"] is not None
    assert fair["auc_stderr"] is not None
    assert credited["auc"] > 0.5 + 4 * credited["auc_stderr"]
    assert abs(fair["auc"] - 0.5) < 3 * fair["auc_stderr"]


def test_a_value_that_knows_the_outcome_ranks_perfectly_and_noise_does_not() -> None:
    rng = random.Random(1)
    known = [rng.uniform(-1, 1) for _ in range(400)]
    owners = [i // 10 for i in range(400)]
    exact = agreement(known, known, owners)
    assert [exact["auc"], exact["auc_stderr"]] == pytest.approx([1.0, 0.0])
    assert exact["pearson"] == pytest.approx(1.0)
    noise = agreement([rng.random() for _ in known], known, owners)
    assert noise["auc"] is not None
    assert noise["auc_stderr"] is not None
    assert abs(noise["auc"] - 0.5) < 4 * noise["auc_stderr"]


@pytest.mark.parametrize(
    ("values", "known"),
    [([], []), ([0.0] * 5, [1, -1, 1, -1, 1]), ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5])],
)
def test_what_is_undefined_is_none(values: list[float], known: list[float]) -> None:
    assert agreement(values, known, list(range(len(values)))) == dict.fromkeys(
        ("pearson", "spearman", "auc", "auc_stderr")
    )

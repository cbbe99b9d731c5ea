"""Scripted searches by every method, and what they and the rollouts teach: no rule of the warehouse is broken."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from infra.warehouse import build, check
from tasks.lessons.pairs import learnt
from tasks.records import frame
from tasks.search.grow import Judge, Task, grow
from tasks.settings import Pairs, Search
from tests.sql.handmade import EOS, QUESTIONS, RIGHT, ROUND, Row, parquet, plan, question, rollout, solution
from tests.tasks.search.scripted import ScriptedPolicy

METHODS: dict[str, dict[str, Any]] = {
    "puct": {"simulations": 24, "readings": 1, "corrections": 1},
    "stepwise": {"simulations": 16},
    "beam": {"beams": 3},
    "sampling": {"root_children": 12},
}

ASKED = QUESTIONS | {"q4": "No path is right.", "q5": "The engine was lost."}


async def is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


async def never(answer: str) -> bool:
    return False


def attempts() -> list[Row]:
    """Of q3, which is not searched, four that share steps; of q4 and q5, right ones that nothing else can teach."""
    longer = {"plan": plan(1, "Add them.") + plan(2, "Halve.") + "</plan>\n", "plan_ids": [10, 11, 13, 14, 15]}
    others = [
        RIGHT | longer | {"rollout_id": "q3/1.0", "step_ends": [1, 3]},
        RIGHT | longer | {"rollout_id": "q3/2.0", "step_ends": [1, 3], "solution": solution("6"), "is_correct": False},
        RIGHT | {"rollout_id": "q3/3.0", "plan": plan(1, "Add them."), "plan_ids": [10, 11]}
        | {"solution": None, "solution_ids": [], "answer": None, "is_correct": False},
        RIGHT | longer | {"rollout_id": "q3/4.0", "step_ends": [1, 3], "solution": solution("7"), "is_correct": None},
    ]  # fmt: skip
    unsolved = [rollout("q4", 0, is_correct=False), rollout("q4", 1, is_correct=True)]
    return [*ROUND["rollouts"], *others, *unsolved, rollout("q5", 0, is_correct=True)]


@pytest.mark.parametrize("method", METHODS)
def test_a_searched_round_breaks_no_rule(method: str, tmp_path: Path) -> None:
    settings = Search(method=method, **METHODS[method])
    trees, nodes = [], []
    for number, (question_id, text) in enumerate(ASKED.items()):
        judge: Judge = never if question_id == "q4" else is_even
        simulations = 0 if question_id == "q3" else settings.simulations
        policy = ScriptedPolicy(seed=3, fails_at=1 if question_id == "q5" else None)
        task = Task(question_id, text, (5, 100 + number), judge, simulations, question_id == "q2")
        grown = asyncio.run(grow(task, policy, settings))
        trees += grown.tree_rows
        nodes += grown.node_rows
    rollouts = frame("rollouts", attempts())
    pairs, examples, _ = learnt(rollouts, frame("trees", trees), frame("nodes", nodes), Pairs(), EOS)
    assert pairs
    imitated = {example["question_id"]: example["origin"] for example in examples if example["is_policy"]}
    assert imitated == {"q1": "tree", "q3": "rollout", "q4": "reflection", "q5": "rollout"}
    path = tmp_path / "warehouse.duckdb"
    questions = [
        *ROUND["questions"],
        *(question("q1", ["add"]) | {"question_id": name, "question": ASKED[name]} for name in ("q4", "q5")),
    ]
    made = {"questions": questions, "rollouts": attempts(), "trees": trees, "nodes": nodes}
    build(path, parquet(tmp_path, ROUND | made | {"step_pairs": pairs, "sft_examples": examples}))
    assert check(path) == []

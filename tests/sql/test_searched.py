"""Scripted searches by every method, and what they teach: no rule of the warehouse is broken."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from infra.warehouse import build, check
from tasks.pairs import learnt
from tasks.records import frame
from tasks.search.grow import Task, grow
from tasks.settings import Pairs, Search
from tests.sql.handmade import EOS, QUESTIONS, ROUND, parquet
from tests.tasks.scripted import ScriptedPolicy

METHODS: dict[str, dict[str, Any]] = {
    "puct": {"simulations": 24, "readings": 1, "corrections": 1},
    "stepwise": {"simulations": 16},
    "beam": {"beams": 3},
    "sampling": {"root_children": 12},
}


async def is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_searched_round_breaks_no_rule(method: str, tmp_path: Path) -> None:
    settings = Search(method=method, **METHODS[method])
    policy = ScriptedPolicy(seed=3)
    trees, nodes = [], []
    for number, (question_id, question) in enumerate(QUESTIONS.items()):
        task = Task(question_id, question, (5, 100 + number), is_even, settings.simulations, question_id == "q2")
        grown = asyncio.run(grow(task, policy, settings))
        trees += grown.tree_rows
        nodes += grown.node_rows
    rollouts = frame("rollouts", ROUND["rollouts"])
    pairs, examples = learnt(rollouts, frame("trees", trees), frame("nodes", nodes), Pairs(), EOS)
    assert pairs
    assert any(example["is_policy"] for example in examples)
    path = tmp_path / "warehouse.duckdb"
    searched = {"trees": trees, "nodes": nodes, "step_pairs": pairs, "sft_examples": examples}
    build(path, parquet(tmp_path, ROUND | searched))
    assert check(path) == []

"""Trees in which something could not be decided, filled the context or was too deep break no rule of the warehouse."""

import asyncio
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.warehouse import build, check
from tasks.search.grow import Task, grow
from tasks.settings import Search
from tests.sql.handmade import QUESTIONS, ROUND, parquet
from tests.tasks.search.scripted import ScriptedPolicy, is_even

METHODS: dict[str, dict[str, Any]] = {
    "puct": {"simulations": 60},
    "stepwise": {"simulations": 16},
    "beam": {"beams": 3, "children": 4},
    "sampling": {"root_children": 30},
    "reflect": {"root_children": 3},
    "pits": {"root_children": 30, "children": 4},
}


def searched(method: str, folder: Path) -> Path:
    """A warehouse of such trees alone."""
    settings = Search(method=method, max_depth=4, **METHODS[method])
    policies = [ScriptedPolicy(seed=3, undecided=0.4), ScriptedPolicy(seed=3, undecided=1.0, context=8)]
    trees, nodes = [], []
    for number, (question_id, question) in enumerate(QUESTIONS.items()):
        task = Task(question_id, question, (5, 100 + number), is_even, settings.simulations, question_id == "q2")
        grown = asyncio.run(grow(task, policies[number % 2], settings))
        trees += grown.tree_rows
        nodes += grown.node_rows
    assert any(row["undecided"] for row in trees)
    tables = {"trees": trees, "nodes": nodes, "preferences": [], "imitations": [], "pair_effects": []}
    path = folder / "warehouse.duckdb"
    build(path, parquet(folder, ROUND | tables))
    return path


@pytest.mark.parametrize("method", METHODS)
def test_they_break_no_rule(method: str, tmp_path: Path) -> None:
    assert check(searched(method, tmp_path)) == []


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("07_visit_counts", "update nodes set visits = 1, q = 0 where kind = 'undecided'"),
        ("09_terminal_rewards", "update nodes set reward = -1 where kind = 'undecided'"),
        ("10_tree_totals", "update trees set undecided = undecided + 1"),
    ],
)
def test_what_is_undecided_has_neither_visit_nor_reward(rule: str, change: str, tmp_path: Path) -> None:
    path = searched("puct", tmp_path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(change)
    assert rule in [broken.query for broken in check(path)]

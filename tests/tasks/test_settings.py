"""What a setting changes: the key of its own stage, and nothing that it does not say."""

import asyncio

import pytest

from tasks.running.stage import cache_key
from tasks.search.grow import Task, grow
from tasks.settings import Evaluation, Search, StageSettings
from tests.tasks.search.scripted import ScriptedPolicy, is_even

SAMPLED = [Search, Evaluation]


@pytest.mark.parametrize("settings", SAMPLED)
def test_another_repeat_is_another_stage(settings: type[StageSettings]) -> None:
    keys = {cache_key("stage", 1, {"settings": settings.model_validate({"repeat": repeat})}) for repeat in (0, 1, 2)}
    assert len(keys) == 3
    assert cache_key("stage", 1, {"settings": settings()}) in keys


@pytest.mark.parametrize("settings", SAMPLED)
def test_a_repeat_is_a_count(settings: type[StageSettings]) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        settings.model_validate({"repeat": -1})


def test_a_repeat_alone_changes_nothing_in_what_is_searched() -> None:
    task = Task("q1", "How many?", (5, 6), is_even, 20)
    first, second = (asyncio.run(grow(task, ScriptedPolicy(), Search(repeat=repeat))) for repeat in (0, 1))
    assert (first.tree_rows, first.node_rows) == (second.tree_rows, second.node_rows)


def test_one_leaf_at_a_time_is_the_default() -> None:
    assert Search().leaves == 1


@pytest.mark.parametrize(
    ("pass_rate", "budget"),
    [(None, 100), (0.0, 250), (0.24, 250), (0.25, 100), (0.99, 100), (1.0, 0)],
)
def test_the_pass_rate_sets_the_budget(pass_rate: float | None, budget: int) -> None:
    assert Search(simulations=100, more_factor=2.5).budget(pass_rate) == budget

"""Every method by its name: a whole round of each small form, tiny, on the real stack."""

from collections.abc import Iterator
from typing import Any

import pytest

from flows.parameters import NAMES, RECIPES
from tasks.recipe import Recipe
from tests.rounds import Shell, running_shell

pytestmark = [pytest.mark.round, pytest.mark.timeout(900)]

METHODS = [name for name in NAMES if name.endswith("-micro")]
QUESTIONS, ASKED = 24, 4
TINY = {"simulations": 6, "trials": 2}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with running_shell(tmp_path_factory.mktemp("methods")) as shell:
        yield shell


def tiny(recipe: Recipe) -> dict[str, Any]:
    """The method as it is, of little: few questions, searches and test questions, each lesson learnt once."""
    searches = {
        f"evidence.{name}.{field}": min(value, getattr(how, field))
        for name, how in recipe.evidence.items()
        for field, value in TINY.items()
    }
    arms = {f"arms.{name}.epochs": 1 for name, arm in recipe.arms.items() if arm.like is None}
    asked = {"evaluation.benchmarks": ["micro/test"], "evaluation.count": ASKED}
    return {"questions.count": min(QUESTIONS, recipe.questions.count), **searches, **arms, **asked}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_searches_learns_and_is_scored(shell: Shell, name: str) -> None:
    """The tables are checked when the warehouse is built. Every arm learnt something, or the round says why not."""
    recipe = Recipe.read(RECIPES / f"{name}.toml")
    shell.make(name, "--recipe", name, **tiny(recipe))
    summary = shell.show(name)
    assert summary["state"] == "completed"
    searched = shell.sql("select evidence, sum(generated_tokens) as tokens from trees group by all", name)
    assert {row["evidence"] for row in searched if row["tokens"]} == set(recipe.evidence)
    models = {row["model"]: row for row in shell.sql("select * from models", name)}
    assert models.keys() == {"base", *recipe.arms}, summary["notes"]
    assert [row["model"] for row in models.values() if row["same_as"]] == []
    policies = {arm for arm, settings in recipe.arms.items() if settings.loss.makes_policy}
    assert {row["model"] for row in summary["evaluations"]} == {"base", *policies}
    assert all(row["n"] == ASKED for row in summary["evaluations"])
    next_models = {row["model"] for row in models.values() if row["is_next"]}
    assert next_models == ({recipe.next.policy[0]} if recipe.next.policy else {"base"})

"""Methods by their names: a whole round of each small form, tiny, on the real stack, as one study.

Of all of them with METHODS=all (`make test-methods`, some ten minutes); else of the one that shares least with CPL.
"""

import json
import os
from typing import Any

import pytest

from flows.parameters import NAMES, RECIPES
from infra.desk.published import published, warehouse_of
from infra.warehouse import opened
from tasks.recipe import Recipe
from tests.shell import Shell

pytestmark = [pytest.mark.round, pytest.mark.timeout(1800)]

ALWAYS = ["mcts-ps-micro"]
ALL = [name for name in NAMES if name.endswith("-micro")]
METHODS = {
    name: Recipe.read(RECIPES / f"{name}.toml") for name in (ALL if os.environ.get("METHODS") == "all" else ALWAYS)
}
QUESTIONS, ASKED = 16, 4
SMALL = {"simulations": 5, "trials": 2, "root_children": 5, "trees": 2}
MORE = {"svpo-micro": (40, SMALL | {"simulations": 12})}
"""It learns from half of its questions, and from steps alone that are far apart: with few it finds, by chance, none."""


def tiny(name: str, recipe: Recipe) -> dict[str, Any]:
    """The method as it is, of little: few questions, searches and test questions, each lesson learnt once."""
    questions, small = MORE.get(name, (QUESTIONS, SMALL))
    searches = {
        f"evidence.{evidence}.{field}": min(value, getattr(how, field))
        for evidence, how in recipe.evidence.items()
        for field, value in small.items()
    }
    arms = {f"arms.{arm}.epochs": 1 for arm, settings in recipe.arms.items() if settings.like is None}
    asked = {"evaluation.benchmarks": ["micro/test"], "evaluation.count": ASKED}
    return {"questions.count": min(questions, recipe.questions.count), **searches, **arms, **asked}


def study_of_all() -> str:
    lines = ['model = "micro"', "tokens = 1000000", "seeds = [1]", 'validation = "micro/validation"']
    for name, recipe in METHODS.items():
        lines += [f"[methods.{name}]", f'recipe = "{name}"', f"[methods.{name}.changes]"]
        lines += [f"{json.dumps(field)} = {json.dumps(value)}" for field, value in tiny(name, recipe).items()]
    lines += ["[[claims]]", 'says = "it learns"', 'better = "mcts-ps-micro.mcts_ps"', 'worse = "mcts-ps-micro.base"']
    return "\n".join(lines)


@pytest.fixture(scope="module")
def report(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("study") / "all.toml"
    path.write_text(study_of_all())
    return shell.run("cpl", "study", str(path))


def test_a_study_makes_all_rounds_and_compares_their_models(report: str) -> None:
    assert "Not made" not in report
    for name, recipe in METHODS.items():
        policies = [arm for arm, settings in recipe.arms.items() if settings.loss.makes_policy]
        assert all(f"| {name}.{model} | 1 |" in report for model in policies), report
    assert f"| {next(iter(METHODS))}.base | 1 |" in report
    assert "| it learns | mcts-ps-micro.mcts_ps − mcts-ps-micro.base |" in report


@pytest.mark.parametrize("name", METHODS)
def test_a_method_searches_learns_and_is_scored(shell: Shell, report: str, name: str) -> None:
    """The tables are checked when the warehouse is built. Every arm learnt something that changed it."""
    recipe, store = METHODS[name], shell.store()
    found = published(store, f"study-all-{name}-1", 1)
    with opened(warehouse_of(store, found)) as warehouse:

        def column(query: str) -> set[Any]:
            return {value for (value,) in warehouse.execute(query).fetchall()}

        tokens = "select evidence from trees group by evidence having sum(generated_tokens) > 0"
        assert column(tokens) == set(recipe.evidence)
        lessons = column("select lesson from imitations") | column("select lesson from preferences")
        assert lessons == set(recipe.lessons)
        assert column("select model from models where same_as is null") == {"base", *recipe.arms}
        policies = {arm for arm, settings in recipe.arms.items() if settings.loss.makes_policy}
        assert column("select model from evaluations where kind = 'all'") == {"base", *policies}
        assert column("select n from evaluations where kind = 'all'") == {ASKED}
        next_policy = recipe.next.policy[0] if recipe.next.policy else "base"
        assert column("select model from models where is_next") == {next_policy}

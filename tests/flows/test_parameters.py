"""What a user can ask for, and what comes of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.utilities.importtools import import_object

import flows.campaign
from flows.campaign import cpl_campaign
from flows.parameters import BY_MODEL, NAMES, RECIPES, about, chosen, usual_recipe
from flows.round import cpl
from infra.engine import tenant
from infra.environment import ROOT, environment
from tasks.recipe import Recipe

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_loads_and_says_what_it_is(name: str) -> None:
    path = RECIPES / f"{name}.toml"
    recipe = Recipe.read(path)
    assert recipe.arms or not recipe.evidence, "what is tried is learnt from"
    assert path.read_text().startswith("# ")


def test_the_papers_recipe_states_the_papers_numbers() -> None:
    paper = Recipe.read(RECIPES / "cpl.toml")
    trees, sft, apo = paper.evidence["trees"], paper.arms["sft"], paper.arms["step_apo"]
    assert (trees.simulations, trees.root_children, trees.children) == (200, 5, 3)
    assert (apo.beta, apo.alpha, apo.learning_rate) == (0.3, 1.0, 1e-6)
    assert (sft.learning_rate, sft.epochs, sft.batch_size) == (1e-5, 5, 512)
    second = Recipe.read(RECIPES / "cpl.toml", round=2)
    assert (second.evidence["trees"].simulations, second.arms["sft"].epochs, second.questions.count) == (100, 3, 14973)
    assert second.arms["step_apo"] == apo


def test_each_size_of_model_has_its_recipe() -> None:
    assert [usual_recipe(model) for model in ("micro", "smollm2", "some/model")] == ["cpl-micro", "cpl-smollm2", "cpl"]
    assert [chosen(BY_MODEL, model).name for model in ("micro", "x")] == ["cpl-micro", "cpl"]
    assert chosen("cpl", "micro").name == "cpl"


def test_a_recipe_is_chosen_by_name_or_with_some_of_its_fields_changed() -> None:
    plain, deeper = chosen("cpl-micro", "x"), chosen({BY_MODEL: {"evidence": {"trees": {"simulations": 3}}}}, "micro")
    assert deeper.name == plain.name
    assert deeper.plain() == plain.read() == plain.plain()
    assert deeper.read().evidence["trees"] == plain.read().evidence["trees"].model_copy(update={"simulations": 3})
    assert deeper.read().arms == plain.read().arms
    with pytest.raises(LookupError, match=r"no recipe 'no-such'.*cpl-micro"):
        chosen("no-such", "micro")


def test_a_campaign_asks_for_each_of_its_rounds_with_all_that_it_was_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []
    engine: list[str] = []

    def round_of(**given: Any) -> None:
        with tenant(environment()):
            asked.append(given)
            engine.append("asked")

    monkeypatch.setattr(flows.campaign, "cpl", round_of)
    monkeypatch.setattr("infra.engine.tenancy.stop_engines", lambda _: engine.append("stopped"))
    monkeypatch.setenv("CPL_HOME", str(tmp_path))
    given: dict[str, Any] = {"campaign": "mine", "repeat": 3, "recipe": {"cpl-micro": {"arms": {"sft": {"epochs": 2}}}}}
    cpl_campaign.fn(rounds=2, **given)
    assert [one["round"] for one in asked] == [1, 2]
    assert engine == ["asked", "asked", "stopped"], "it stays up from round to round"
    of_round = cpl.parameters.properties.keys() - {"approve"}  # Prefect suspends no run within another
    assert all(one.keys() == of_round for one in asked), "a parameter of the round is missing"
    assert all(one.items() >= given.items() for one in asked)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_every_deployment_says_what_it_is_and_what_each_of_its_fields_means(deployment: dict[str, Any]) -> None:
    """Prefect takes a field's words from the flow's docstring alone."""
    fields = import_object(deployment["entrypoint"]).parameters.properties
    assert deployment["description"]
    assert deployment["tags"]
    assert fields
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_the_form_names_every_recipe_and_explains_every_field_of_the_models_own() -> None:
    schema = cpl.parameters.model_dump_for_openapi()["properties"]
    assert all(field["description"] for field in schema.values())
    by_name, *choices = schema["recipe"]["anyOf"]
    assert sorted(by_name["enum"]) == sorted([BY_MODEL, *NAMES])
    assert [choice["title"] for choice in choices] == ["cpl-micro", "cpl-smollm2", "cpl"]
    fields = [field for choice in choices for field in leaves(choice)]
    assert len(fields) > 100
    assert [field["title"] for field in fields if not field["description"] or "anyOf" in field] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_told_by_the_first_comment_of_its_file(name: str) -> None:
    first, *_ = (RECIPES / f"{name}.toml").read_text().splitlines()
    assert about(name).startswith(first.removeprefix("# "))
    assert "#" not in about(name)


def leaves(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = schema.get("properties")
    return [field for part in inner.values() for field in leaves(part)] if inner else [schema]

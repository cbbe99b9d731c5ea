"""Recipes and the form: what a user can ask for, and what comes of it."""

import json
import re
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.utilities.schema_tools.validation import validate

import flows.campaign
from flows.campaign import cpl_campaign
from flows.parameters import BY_MODEL, RECIPES, Recipe, Round, configure, recipe_for
from flows.round import cpl
from tasks.settings import Search


@pytest.mark.parametrize("recipe", [path.stem for path in RECIPES.glob("*.toml")])
def test_every_recipe_loads(recipe: str) -> None:
    assert recipe in list(Recipe)
    assert isinstance(configure(recipe), Round)


def test_the_papers_recipe_states_the_papers_numbers() -> None:
    paper = configure("cpl")
    assert (paper.search.simulations, paper.search.root_children, paper.search.children) == (200, 5, 3)
    assert (paper.step_apo.beta, paper.step_apo.alpha, paper.step_apo.learning_rate) == (0.3, 1.0, 1e-6)
    assert (paper.sft.learning_rate, paper.sft.epochs, paper.sft.batch_size) == (1e-5, 5, 512)


def test_a_blank_field_means_the_recipes_value() -> None:
    filled = configure("cpl-micro", search={"simulations": 3, "c_puct": None})
    assert filled.search.simulations == 3
    assert filled.search.c_puct == configure("cpl-micro").search.c_puct
    assert filled.search.max_step_tokens == configure("cpl-micro").search.max_step_tokens


def test_another_repeat_is_one_of_all_steps_that_sample_unless_one_says_otherwise() -> None:
    again = configure("cpl-micro", repeat=3, search={"repeat": 5})
    assert (again.rollouts.repeat, again.search.repeat, again.evaluation.repeat) == (3, 5, 3)
    assert configure("cpl-micro").rollouts.repeat == 0


WRONG = [
    ({"search": {"simulations": 0}}, "simulations"),
    ({"search": {"simulation": 5}}, "simulation"),
    ({"search": {"temperature": 9.0}}, "temperature"),
    ({"search": {"method": "guess"}}, "method"),
    ({"questions": {"count": "many"}}, "count"),
    ({"evaluation": {"benchmarks": "gsm8k/test"}}, "benchmarks"),
    ({"campaign": "My Campaign"}, "campaign"),
    ({"round": -1}, "round"),
    ({"recipe": "no-such-recipe"}, "recipe"),
]


@pytest.mark.parametrize(("wrong", "named"), WRONG)
def test_a_wrong_value_is_refused_by_name_by_the_form_and_by_the_flow(wrong: dict[str, Any], named: str) -> None:
    """The form's schema is what Prefect's server checks a submitted run by; the flow checks it again."""
    (problem,) = validate(wrong, form(cpl))
    assert named in problem.json_path + problem.message
    with pytest.raises(ParameterTypeError, match=named):
        cpl.validate_parameters(wrong)


def test_what_is_left_blank_passes_the_form() -> None:
    blank = {"search": {"simulations": None, "c_puct": 1.0}, "questions": {"columns": None}}
    assert validate(blank, form(cpl)) == []
    assert validate({}, form(cpl)) == []


@pytest.mark.parametrize("chosen", [True, False])
def test_a_yes_or_no_is_chosen_from_a_list_that_is_blank(chosen: bool) -> None:
    adaptive = form(cpl)["properties"]["search"]["properties"]["adaptive"]
    assert adaptive["enum"] == [True, False]
    assert not {"type", "anyOf", "default"} & adaptive.keys(), "drawn as a switch, or as a choice between types"
    assert validate({"search": {"adaptive": chosen}}, form(cpl)) == []
    assert validate({"search": {"adaptive": "yes"}}, form(cpl))


def test_a_fraction_where_a_whole_number_belongs_is_told_as_a_bound_is() -> None:
    """Of types the UI tells at the field alone, and Submit does nothing; of all else the server says the name."""
    fields = [field for group in form(cpl)["properties"].values() for field in group.get("properties", {}).values()]
    assert not any(field.get("type") == "integer" for field in fields)
    (problem,) = validate({"search": {"simulations": 1.5}}, form(cpl))
    assert (problem.json_path, problem.message) == ("$.search.simulations", "1.5 is not a multiple of 1")
    assert validate({"search": {"simulations": 3.0}}, form(cpl)) == []
    assert configure("cpl-micro", search={"simulations": 3.0}) == configure("cpl-micro", search={"simulations": 3})


@pytest.mark.parametrize("flow", [cpl, cpl_campaign], ids=["round", "campaign"])
def test_the_form_sends_nobody_to_a_document_that_is_not_here(flow: Any) -> None:
    named = re.findall(r"[\w/]+\.md\b", json.dumps(form(flow)))
    assert all((RECIPES.parent.parent / document).exists() for document in named), named


@pytest.mark.parametrize("flow", [cpl, cpl_campaign], ids=["round", "campaign"])
def test_the_form_explains_every_field_with_its_bounds_and_what_blank_means(flow: Any) -> None:
    fields = form(flow)["properties"]
    assert all(field["description"] for field in fields.values())
    assert not any("anyOf" in field for field in fields.values()), "Prefect draws a choice between a type and None"
    search = fields["search"]["properties"]
    assert search.keys() == Search.model_fields.keys()
    assert "At least 1. Blank: 24 (cpl-micro)" in search["simulations"]["description"]
    assert "200 (cpl)" in search["simulations"]["description"]
    assert "Above 0, at most 2. Blank: 0.7." in search["temperature"]["description"]
    for group in (field["properties"] for field in fields.values() if "properties" in field):
        assert all("Blank: " in field["description"] for field in group.values())
        assert all(field.get("default") is None for field in group.values()), "a default would replace the recipe's"
        assert not any(field.get("type") == "boolean" for field in group.values()), "an untouched switch says no"


def form(flow: Any) -> dict[str, Any]:
    schema: dict[str, Any] = flow.parameters.model_dump_for_openapi()
    return schema


def test_each_size_of_model_has_its_recipe() -> None:
    recipes = [recipe_for(BY_MODEL, model) for model in ("micro", "smollm2", "some/model")]
    assert recipes == ["cpl-micro", "cpl-smollm2", "cpl"]
    assert recipe_for(Recipe("cpl"), "micro") == "cpl"


def test_the_pass_rate_sets_the_budget() -> None:
    search = Search(simulations=100, adaptive=True, skip_above=1.0, more_below=0.25, more_factor=2.0)
    assert [search.budget(rate) for rate in (None, 0.0, 0.25, 0.5, 1.0)] == [100, 200, 100, 100, 0]
    assert search.model_copy(update={"adaptive": False}).budget(1.0) == 100


def test_arms_are_the_recipes_unless_they_are_named() -> None:
    assert configure("cpl").arms == ("step_apo",)
    assert set(configure("cpl-micro").arms) == {"step_apo", "step_dpo", "sft_more"}
    assert configure("cpl-micro", arms=["sft_more"]).arms == ("sft_more",)
    assert configure("cpl-micro", arms=[]).arms == configure("cpl-micro").arms


def test_a_campaign_asks_for_each_of_its_rounds_with_all_that_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(flows.campaign, "cpl", lambda **given: asked.append(given))
    given: dict[str, Any] = {"campaign": "mine", "repeat": 3, "arms": ["step_apo"], "search": {"c_puct": 1.0}}
    cpl_campaign.fn(rounds=2, **given)
    assert [one["round"] for one in asked] == [1, 2]
    assert all(one.keys() == cpl.parameters.properties.keys() for one in asked), "a parameter of the round is missing"
    assert all(one.items() >= given.items() for one in asked)

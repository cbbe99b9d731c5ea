"""Recipes and the form: what a user can ask for, and what comes of it."""

import pytest
from pydantic import BaseModel, ValidationError

from flows.parameters import RECIPES, Recipe, Round, SearchForm, configure, default_recipe
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
    filled = configure("cpl-micro", search=SearchForm.model_validate({"simulations": 3}))
    assert filled.search.simulations == 3
    assert filled.search.max_step_tokens == configure("cpl-micro").search.max_step_tokens


@pytest.mark.parametrize("wrong", [{"simulations": 0}, {"simulation": 5}, {"temperature": 9.0}])
def test_the_form_names_the_field_that_is_wrong(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SearchForm.model_validate(wrong)


def test_the_form_explains_every_field() -> None:
    assert issubclass(SearchForm, BaseModel)
    fields = SearchForm.model_json_schema()["properties"]
    assert fields.keys() == Search.model_fields.keys()
    assert all(
        field["title"] and field["description"].endswith("Blank: the recipe's value.") for field in fields.values()
    )


def test_each_size_of_model_has_its_recipe() -> None:
    recipes = [default_recipe(model) for model in ("micro", "smollm2", "some/model")]
    assert recipes == ["cpl-micro", "cpl-smollm2", "cpl"]


def test_the_pass_rate_sets_the_budget() -> None:
    search = Search(simulations=100, adaptive=True, skip_above=1.0, more_below=0.25, more_factor=2.0)
    assert [search.budget(rate) for rate in (None, 0.0, 0.25, 0.5, 1.0)] == [100, 200, 100, 100, 0]
    assert search.model_copy(update={"adaptive": False}).budget(1.0) == 100


def test_arms_are_the_recipes_unless_they_are_named() -> None:
    assert configure("cpl").arms == ("step_apo",)
    assert set(configure("cpl-micro").arms) == {"step_apo", "step_dpo", "sft_more"}
    assert configure("cpl-micro", arms=[]).arms == ()

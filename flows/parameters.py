"""What a round can be asked for: a recipe of `flows/recipes/`, by its name or with some of its fields changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

from pydantic import WithJsonSchema

from flows.form import form, name_and_changes
from tasks.recipe import Recipe

RECIPES = Path(__file__).parent / "recipes"
NAMES = [path.stem for path in sorted(RECIPES.glob("*.toml"))]
BY_MODEL = "by model"


def about(name: str) -> str:
    """What a recipe is: the comment that its file begins with."""
    lines = (RECIPES / f"{name}.toml").read_text().splitlines()
    return " ".join(line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("#"), lines))


_all = {name: Recipe.read(RECIPES / f"{name}.toml") for name in NAMES}
_drawn = {name: recipe for name, recipe in _all.items() if recipe.usual_for}
# Prefect's server checks a schema for seconds a megabyte, and every recipe with its fields is 35 KB: all of them kept
# `cpl up` waiting for half a minute. So fields are drawn of the models' own recipes; the others are there by name.
AnyRecipe = Annotated[
    str | dict[str, Any],
    WithJsonSchema(
        form(
            _drawn,
            {name: about(name) for name in _drawn},
            [BY_MODEL, *(name for name in NAMES if name not in _drawn)],
        )
    ),
]
"""The name of a recipe, or {name: changed fields}."""


@dataclass(frozen=True)
class Choice:
    """A recipe that somebody asked for."""

    name: str
    changes: Mapping[str, Any]

    def read(self, round: int = 1) -> Recipe:
        """As it is in this round of a campaign. Raises RecipeRefused."""
        return Recipe.read(RECIPES / f"{self.name}.toml", self.changes, round=round)

    def plain(self) -> Recipe:
        """As it is where nothing is changed."""
        return Recipe.read(RECIPES / f"{self.name}.toml")


def chosen(recipe: str | Mapping[str, Any], model: str) -> Choice:
    """The recipe that is named, alone or with its changed fields: {name: fields}; by model: the model's own.

    Raises:
        LookupError: with those that there are.
        ValueError: for what is neither.
    """
    name, changes = name_and_changes(recipe)
    if name == BY_MODEL:
        name = usual_recipe(model)
    if name not in NAMES:
        raise LookupError(f"there is no recipe {name!r} in flows/recipes/; there are {', '.join(NAMES)}")
    return Choice(name, changes)


def usual_recipe(model: str) -> str:
    """The recipe of a base model, unless another is named: the one that says so (`usual_for`)."""
    usual = {one: name for name in NAMES for one in Recipe.read(RECIPES / f"{name}.toml").usual_for}
    return usual.get(model, usual["*"])

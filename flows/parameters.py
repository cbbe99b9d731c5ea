"""What a round can be asked for: a recipe of `flows/recipes/`, by its name or with some of its fields changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.recipe import Recipe

RECIPES = Path(__file__).parent / "recipes"
NAMES = [path.stem for path in sorted(RECIPES.glob("*.toml"))]
BY_MODEL = "by model"


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
    """The recipe that is named, alone or under "name" beside changed fields; by model: the model's own.

    Raises:
        LookupError: with those that there are.
    """
    changes = {} if isinstance(recipe, str) else dict(recipe)
    name = recipe if isinstance(recipe, str) else changes.pop("name", BY_MODEL)
    if name == BY_MODEL:
        name = usual_recipe(model)
    if name not in NAMES:
        raise LookupError(f"there is no recipe {name!r} in flows/recipes/; there are {', '.join(NAMES)}")
    return Choice(name, changes)


def usual_recipe(model: str) -> str:
    """The recipe of a base model, unless another is named: the one that says so (`usual_for`)."""
    usual = {one: name for name in NAMES for one in Recipe.read(RECIPES / f"{name}.toml").usual_for}
    return usual.get(model, usual["*"])

"""What a round can be asked for: recipes, the form that the UI shows, and the configuration that comes of both.

A recipe is a TOML file under `flows/recipes/` with the settings of a method (design D9). The form has the same
fields, all blank: what is left blank keeps the recipe's value, which stands beside it, so that choosing another
recipe changes all that the user did not set.
"""

import functools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from tasks.settings import (
    Arm,
    Control,
    Evaluation,
    Pairs,
    Questions,
    Rollouts,
    Search,
    Sft,
    StepApo,
    StepDpo,
    Value,
)

RECIPES = Path(__file__).parent / "recipes"

NAMES = [path.stem for path in sorted(RECIPES.glob("*.toml"))]
Recipe = StrEnum("Recipe", {name: name for name in ["by model", *NAMES]})  # type: ignore[misc]
"""What the UI's form offers: every file in `flows/recipes/`, or the one that fits the model."""

BY_MODEL = Recipe("by model")


class Round(BaseModel):
    """The configuration of a round: every setting of every step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: Questions = Questions()
    rollouts: Rollouts = Rollouts()
    search: Search = Search()
    pairs: Pairs = Pairs()
    sft: Sft = Sft()
    value: Value = Value()
    arms: tuple[Arm, ...] = ("step_apo", "step_dpo", "sft_more")
    step_apo: StepApo = StepApo()
    step_dpo: StepDpo = StepDpo()
    control: Control = Control()
    evaluation: Evaluation = Evaluation()


@dataclass(frozen=True)
class Changes:
    """Marks a flow's parameter as the settings of one step that differ from the recipe's: a dict by field.

    It is checked by the settings themselves. Its form has their fields with their words and bounds, none of them
    filled, and each recipe's value in words.
    """

    step: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        settings = _settings(self.step)
        form = settings.model_json_schema() | {"required": [], "title": self.step}
        for name, field in form["properties"].items():
            del field["default"]
            if field.get("type") == "boolean":  # drawn as a switch, which is off, and so set, where nobody touched it
                del field["type"]
                field["enum"] = [True, False]
            if field.get("type") == "integer":  # a wrong type is told at the field alone, and Submit does nothing
                field |= {"type": "number", "multipleOf": 1}
            field["description"] = " ".join([field["description"], *_bounds(field), _in_recipes(self.step, name)])
        return form

    def _checked(self, changed: dict[str, Any]) -> dict[str, Any]:
        try:
            _settings(self.step).model_validate(_filled(changed))
        except ValidationError as problem:
            wrong = [f"{self.step}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors()]
            raise ValueError("; ".join(wrong)) from None
        return changed


def configure(recipe: str, arms: Sequence[Arm] = (), repeat: int = 0, **changes: Mapping[str, Any]) -> Round:
    """The recipe's settings with the changed fields in their place; a field that is None keeps the recipe's value.

    `arms`: in place of the recipe's, if there are any. `repeat`: of all steps that sample.
    """
    settings = dict(_recipe(recipe))
    for step in ("rollouts", "search", "evaluation"):
        settings[step] = {**settings.get(step, {}), "repeat": repeat}
    if arms:
        settings["arms"] = arms
    for step, fields in changes.items():
        settings[step] = {**settings.get(step, {}), **_filled(fields)}
    return Round.model_validate(settings)


def recipe_for(recipe: Recipe, model: str) -> str:
    """The recipe's name; by model, the embedded sizes have their own (design D11), and others the paper's."""
    return {"micro": "cpl-micro", "smollm2": "cpl-smollm2"}.get(model, "cpl") if recipe == BY_MODEL else recipe.value


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _settings(step: str) -> type[BaseModel]:
    return type(Round.model_fields[step].default)


@functools.cache
def _recipe(name: str) -> Mapping[str, Any]:
    return tomllib.loads((RECIPES / f"{name}.toml").read_text())


def _bounds(field: Mapping[str, Any]) -> list[str]:
    """The bounds of a field in words, for the form enforces them and does not show them."""
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    said = [f"{word} {field[bound]:g}" for bound, word in words.items() if bound in field]
    return [", ".join(said).capitalize() + "."] if said else []


def _in_recipes(step: str, name: str) -> str:
    """What a blank field means: each recipe's value."""
    values = {recipe: getattr(getattr(configure(recipe), step), name) for recipe in NAMES}
    said = {recipe: json.dumps(value, ensure_ascii=False) for recipe, value in values.items()}
    if len(set(said.values())) == 1:
        return f"Blank: {said.popitem()[1]}."
    return "Blank: " + ", ".join(f"{value} ({recipe})" for recipe, value in said.items()) + "."

"""What a round can be asked for: recipes, the form that the UI shows, and the configuration that comes of both.

A recipe is a TOML file under `flows/recipes/` with the settings of a method (design D9). The form has the same
fields, all optional: a blank one means the recipe's value, so that choosing another recipe changes all that the user
did not set.
"""

import tomllib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo

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
    StepSettings,
    Value,
)

RECIPES = Path(__file__).parent / "recipes"

Recipe = StrEnum("Recipe", {path.stem: path.stem for path in sorted(RECIPES.glob("*.toml"))})  # type: ignore[misc]
"""A name in the UI's form for every file in `flows/recipes/`."""


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


def _form(settings: type[StepSettings]) -> type[BaseModel]:
    """The same fields with the same bounds, each optional and blank."""
    fields: dict[str, Any] = {}
    for name, field in settings.model_fields.items():
        text = f"{field.description} Blank: the recipe's value."
        blank = FieldInfo.from_annotated_attribute(field.rebuild_annotation() | None, None)
        blank.title, blank.description = field.title, text
        fields[name] = (blank.annotation, blank)
    return create_model(
        f"{settings.__name__}Form", __config__=ConfigDict(extra="forbid"), __doc__=settings.__doc__, **fields
    )


if TYPE_CHECKING:
    QuestionsForm: TypeAlias = Questions
    RolloutsForm: TypeAlias = Rollouts
    SearchForm: TypeAlias = Search
    PairsForm: TypeAlias = Pairs
    SftForm: TypeAlias = Sft
    ValueForm: TypeAlias = Value
    StepApoForm: TypeAlias = StepApo
    StepDpoForm: TypeAlias = StepDpo
    ControlForm: TypeAlias = Control
    EvaluationForm: TypeAlias = Evaluation
else:
    QuestionsForm, RolloutsForm, SearchForm, PairsForm = map(_form, (Questions, Rollouts, Search, Pairs))
    SftForm, ValueForm, StepApoForm, StepDpoForm = map(_form, (Sft, Value, StepApo, StepDpo))
    ControlForm, EvaluationForm = map(_form, (Control, Evaluation))


def default_recipe(model: str) -> str:
    """The recipe for a model when none is named: the embedded sizes have their own (design D11), others the paper's."""
    return {"micro": "cpl-micro", "smollm2": "cpl-smollm2"}.get(model, "cpl")


def configure(recipe: str, arms: Sequence[Arm] | None = None, **forms: BaseModel) -> Round:
    """The recipe's settings with the form's filled fields in their place."""
    settings: dict[str, Any] = tomllib.loads((RECIPES / f"{recipe}.toml").read_text())
    if arms is not None:
        settings["arms"] = arms
    for step, form in forms.items():
        settings[step] = settings.get(step, {}) | form.model_dump(exclude_none=True)
    return Round.model_validate(settings)

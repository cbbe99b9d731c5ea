"""The form of a choice of settings: what the UI is told to draw, and what Prefect's server says of a value."""

import json
from typing import Annotated, Any, Literal

import pytest
from prefect import flow
from prefect.utilities.schema_tools.validation import validate
from pydantic import BaseModel, Field, WithJsonSchema

from flows.form import form, name_and_changes


class Loss(BaseModel):
    """Weights of its terms."""

    nll: float = Field(0.0, ge=0, description="Imitation.")


class Oven(BaseModel):
    """Where it is baked."""

    heat: float = Field(180.0, gt=20, le=300, description="Degrees Celsius.")
    minutes: int = Field(ge=1, description="Until it is done.")
    fan: bool = False
    like: str | None = Field(None, description="Another oven.")
    loss: Loss = Field(Loss(), description="What is lost.")


class Knead(BaseModel):
    rule: Literal["knead"] = "knead"
    times: int = Field(2, ge=1)


class Fold(BaseModel):
    rule: Literal["fold"] = "fold"
    flours: tuple[str, ...] = ()


class Bread(BaseModel):
    """A bread."""

    usual_for: tuple[str, ...] = Field((), json_schema_extra={"readOnly": True})
    ovens: dict[str, Oven] = Field(description="By name.")
    rules: dict[str, Annotated[Knead | Fold, Field(discriminator="rule")]] = {}
    names: dict[str, str] = {}
    kind: Literal["rye", "wheat"] = "rye"
    topping: str | tuple[str, ...] = "seeds"


NAMED = {
    "rye-bread": Bread(ovens={"stone": Oven(minutes=50), "gas": Oven(heat=200, minutes=40)}, rules={"first": Knead()}),
    "rolls": Bread(
        ovens={"small": Oven(minutes=15)},
        rules={"last": Fold(flours=("wheat",))},
        kind="wheat",
        topping=("salt", "cumin"),
    ),
}
ABOUT = {"rye-bread": "For a week.", "rolls": "For a day."}
SCHEMA = form(NAMED, ABOUT, ["any"])


@flow
def bake(bread: Annotated[str | dict[str, Any], WithJsonSchema(SCHEMA)] = "any") -> None:
    """Bakes.

    Args:
        bread: Which bread.
    """


DEPLOYED = bake.parameters.model_dump_for_openapi()


def said(bread: Any) -> list[str]:
    """What the server says of a run's parameter, with the field."""
    return [f"{one.json_path}: {one.message}" for one in validate({"bread": bread}, DEPLOYED)]


def drawn(name: str, *path: str) -> dict[str, Any]:
    field: dict[str, Any] = next(one for one in SCHEMA["anyOf"] if one["title"] == name)["properties"][name]
    for part in path:
        field = field["properties"][part]
    return field


def test_a_name_can_be_chosen_or_all_fields_of_one() -> None:
    parameter = DEPLOYED["properties"]["bread"]
    by_name, *choices = parameter["anyOf"]
    assert by_name["enum"] == ["any", "rye-bread", "rolls"]
    assert [one["title"] for one in choices] == ["rye-bread", "rolls"]
    assert parameter["default"] == "any"
    assert parameter["description"] == "Which bread."
    keys = [set(one["properties"]) for one in choices]
    assert not set.intersection(*keys), "the UI finds the choice of a value by the keys that both have"


def test_every_field_is_drawn_with_its_name_words_bounds_and_value() -> None:
    assert drawn("rye-bread")["description"] == "For a week."
    assert drawn("rolls", "ovens", "small")["description"] == "Where it is baked."
    assert drawn("rolls", "ovens", "small", "loss")["description"] == "What is lost."
    heat = drawn("rye-bread", "ovens", "gas", "heat")
    assert heat["title"] == "ovens.gas.heat"
    assert heat["description"] == "Degrees Celsius. Above 20, at most 300."
    assert (heat["type"], heat["default"]) == ("number", 200)
    assert drawn("rye-bread", "ovens", "stone", "minutes")["default"] == 50
    assert drawn("rye-bread", "ovens", "stone", "loss", "nll")["title"] == "ovens.stone.loss.nll"
    assert drawn("rolls", "kind") | {"description": ""} == {
        "type": "string",
        "enum": ["rye", "wheat"],
        "title": "kind",
        "description": "",
        "default": "wheat",
    }
    assert drawn("rolls", "rules", "last").keys() == drawn("rye-bread", "rules", "first").keys()


def test_choosing_one_fills_all_of_its_fields() -> None:
    for name, settings in NAMED.items():
        assert drawn(name)["default"] == settings.model_dump(mode="json")
        assert Bread.model_validate(drawn(name)["default"]) == settings
        assert said({name: drawn(name)["default"]}) == []


def test_what_cannot_be_set_is_not_drawn() -> None:
    assert "usual_for" not in drawn("rolls")["properties"]
    assert drawn("rolls", "rules", "last")["properties"].keys() == {"flours"}
    assert drawn("rye-bread", "rules", "first")["properties"].keys() == {"times"}


def test_no_field_is_drawn_as_a_choice_of_types() -> None:
    like = drawn("rolls", "ovens", "small", "like")
    assert "anyOf" not in like
    assert (like["type"], like["default"]) == ("string", None)
    assert said({"rolls": {"ovens": {"small": {"like": None}}}}) == []
    one, several = drawn("rye-bread", "topping"), drawn("rolls", "topping")
    assert (one["type"], one["default"], several["type"], several["default"]) == (
        *("string", "seeds"),
        *("array", ["salt", "cumin"]),
    )
    for topping in ("oil", ["oil"]):
        assert said({"rolls": {"topping": topping}}) == said({"rye-bread": {"topping": topping}}) == []
    assert said({"rolls": {"topping": 3}})
    assert "$ref" not in json.dumps(SCHEMA), "the UI looks for what is referred to in the whole document"


@pytest.mark.parametrize("few", [{}, {"kind": "rye"}, {"ovens": {"small": {"minutes": 20}}}, {"names": {"a": "b"}}])
def test_a_few_changes_will_do(few: dict[str, Any]) -> None:
    assert said({"rolls": few}) == []
    assert name_and_changes({"rolls": few}) == ("rolls", few)


WRONG = [
    ({"rye-bread": {"ovens": {"gas": {"heat": 20}}}}, "['rye-bread'].ovens.gas.heat", "minimum of 20"),
    ({"rye-bread": {"ovens": {"gas": {"heat": 301}}}}, "['rye-bread'].ovens.gas.heat", "maximum of 300"),
    ({"rolls": {"ovens": {"small": {"minutes": 1.5}}}}, ".rolls.ovens.small.minutes", "'integer'"),
    ({"rolls": {"ovens": {"small": {"minutes": "many"}}}}, ".rolls.ovens.small.minutes", "'integer'"),
    ({"rolls": {"ovens": {"small": {"loss": {"nll": -1}}}}}, ".rolls.ovens.small.loss.nll", "minimum of 0"),
    ({"rolls": {"ovens": {"gas": {"heat": 200}}}}, ".rolls.ovens", "'gas'"),
    ({"rolls": {"rules": {"last": {"times": 3}}}}, ".rolls.rules.last", "'times'"),
    ({"rolls": {"rules": {"last": {"rule": "knead"}}}}, ".rolls.rules.last.rule", "'fold'"),
    ({"rolls": {"rules": {"last": {"flours": ["rye", None]}}}}, ".rolls.rules.last.flours[1]", "'string'"),
    ({"rolls": {"names": {"a": 3}}}, ".rolls.names.a", "'string'"),
    ({"rolls": {"kind": "oat"}}, ".rolls.kind", "['rye', 'wheat']"),
    ({"rolls": {"ovens": 3}}, ".rolls.ovens", "'object'"),
    ({"rolls": 3}, ".rolls", "'object'"),
    ({"buns": {}}, "", "'buns'"),
    ({}, "", "non-empty"),
    ({"rolls": {}, "rye-bread": {}}, "", "too many"),
]


@pytest.mark.parametrize(("wrong", "field", "why"), WRONG)
def test_a_wrong_value_is_told_by_its_field_alone(wrong: Any, field: str, why: str) -> None:
    (told,) = said(wrong)
    assert told.startswith(f"$.bread{field}: ")
    assert why in told


@pytest.mark.parametrize("wrong", ["buns", 3, None, []])
def test_what_names_nothing_is_refused(wrong: Any) -> None:
    assert said(wrong)


def test_what_the_ui_asks_before_it_submits_holds_nobody_up() -> None:
    """It sends the `anyOf` alone, says nothing where that fails, and does not submit."""
    asked = {"type": "object", "properties": {"bread": {"anyOf": SCHEMA["anyOf"]}}}
    objects = [wrong for wrong, _, _ in WRONG if isinstance(wrong, dict)]
    assert [wrong for wrong in objects if validate({"bread": wrong}, asked)] == []


def test_a_name_that_the_flow_understands_may_have_changes() -> None:
    assert said("any") == said({"any": {"kind": "rye"}}) == []
    assert name_and_changes("any") == ("any", {})


@pytest.mark.parametrize("neither", [{}, {"rolls": 3}, {"rolls": {}, "rye-bread": {}}])
def test_what_is_neither_a_name_nor_changes_is_refused(neither: Any) -> None:
    with pytest.raises(ValueError, match="neither a name nor"):
        name_and_changes(neither)

"""The form of a flow's parameter that takes one of several named settings, each with its own fields.

A value is a name, or `{name: changes}`, with the changes nested as the settings are. The UI sends all fields of the
settings that were chosen there; from a shell those that differ will do: `{"cpl": {"arms": {"sft": {"epochs": 2}}}}`.

What Prefect's UI (3.8) does with a schema made this shape:

- It draws an `anyOf` as a row of buttons, and finds the button of a value by the keys that both have: so a name is a
  key. A field is filled with its `default`, and a field that is emptied is not sent.
- Before it submits, it asks whether the value fits the `anyOf`, and where it does not, nothing happens. Here any object
  fits, for no name is required and a wrong one fits its neighbours.
- It does not know `then`, which the server obeys when a run is created. That answer, which the UI shows, and a shell
  as well, names the field and its bound.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

Schema = dict[str, Any]

BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
WORDS = ("title", "description", "default")


def form(named: Mapping[str, BaseModel], about: Mapping[str, str], others: Sequence[str] = ()) -> Schema:
    """The JSON schema of a choice of settings, two at least.

    A field that is `readOnly` or can have one value alone is not drawn.

    Args:
        named: Settings by name: models of fields, models, and dicts of models.
        about: Words on each.
        others: Names that may stand in their place, and whose meaning is the flow's.
    """
    names = {"title": "by name", "type": "string", "enum": [*others, *named]}
    choices = []
    for name, settings in named.items():
        words = {"title": name, "description": about[name], "default": to_jsonable_python(settings)}
        choices.append({"title": name, "type": "object", "properties": {name: _drawn(settings) | words}})
    checked = {name: {"type": "object"} for name in others}
    checked |= {name: _checked(settings) for name, settings in named.items()}
    return {
        "anyOf": [names, *choices],
        "if": {"type": "object"},
        "then": _closed(checked) | {"minProperties": 1, "maxProperties": 1},
    }


def name_and_changes(value: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What a value says. Raises ValueError for what is neither a name nor {name: changes}."""
    if isinstance(value, str):
        return value, {}
    if len(value) == 1:
        [(name, changes)] = value.items()
        if isinstance(changes, Mapping):
            return name, changes
    raise ValueError(f'neither a name nor {{"NAME": {{…}}}} with what differs: {value!r}')


def _drawn(value: Any, schema: Schema | None = None, at: str = "") -> Schema:
    """What the UI draws: each field by its dotted name with its words, its bounds, which the UI does not show, and its
    value."""
    schema = schema or {}
    if not _has_parts(value):
        schema = _of_value(schema, value)
        words = {"description": " ".join([schema.get("description", ""), *_bounds(schema)]).strip()}
        return schema | words | {"title": at, "default": to_jsonable_python(value)}
    fields = {
        name: _drawn(part, of_part, f"{at}.{name}".lstrip("."))
        for name, part, of_part in _parts(value)
        if not of_part.keys() & {"const", "readOnly"}
    }
    return {"type": "object", "title": at, "description": schema.get("description", ""), "properties": fields}


def _checked(value: Any, schema: Schema | None = None) -> Schema:
    """What the server checks: each field that is given, and that there is no other."""
    if not _has_parts(value):
        return {word: told for word, told in (schema or {}).items() if word not in WORDS}
    return _closed({name: _checked(part, of_part) for name, part, of_part in _parts(value)})


def _closed(fields: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": fields, "additionalProperties": False}


def _has_parts(value: Any) -> bool:
    """Whether it is a model, or a dict of models; all else is one field, which is set as a whole."""
    parts = value.values() if isinstance(value, Mapping) else (value,)
    return bool(parts) and all(isinstance(part, BaseModel) for part in parts)


def _parts(value: BaseModel | Mapping[str, BaseModel]) -> Iterator[tuple[str, Any, Schema]]:
    """Name, value and schema of each part."""
    if isinstance(value, BaseModel):
        yield from ((name, part, _schema(type(value))["properties"][name]) for name, part in value)
    else:
        yield from ((name, part, _schema(type(part))) for name, part in value.items())


@functools.cache
def _schema(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    inlined: Schema = _inlined(schema, schema.pop("$defs", {}))
    return inlined


def _inlined(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    """The schema with what it refers to in the place of each reference: it will be a part of another document."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    meant = definitions.get(schema.get("$ref", "").removeprefix("#/$defs/"), {})
    return {word: _inlined(told, definitions) for word, told in (meant | schema).items() if word != "$ref"}


def _of_value(schema: Schema, value: Any) -> Schema:
    """Of a field of several types the one that its value has, for these are drawn as a choice. One that may be null is
    left out where it is blank."""
    choices = schema.get("anyOf", []) + schema.get("oneOf", [])
    kinds = [one for one in choices if one != {"type": "null"}]
    wanted = "string" if isinstance(value, str) else "array"
    fitting = kinds if len(kinds) == 1 else [one for one in kinds if one.get("type") == wanted]
    if len(fitting) != 1:
        return schema
    return fitting[0] | {word: told for word, told in schema.items() if word not in ("anyOf", "oneOf")}


def _bounds(schema: Schema) -> list[str]:
    said = [f"{word} {schema[bound]:g}" for bound, word in BOUNDS.items() if bound in schema]
    return [", ".join(said).capitalize() + "."] if said else []

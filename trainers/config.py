"""A config: one JSON file, read and checked before torch is imported, so that a typo costs no time."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from infra.contract.disk import DiskFull, room_in
from infra.contract.faults import described


class ConfigError(ValueError):
    """What the user can put right: the message names the field or file and the way out. Exit status 2."""


class Config(BaseModel):
    """What every trainer is told: where to write."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: Path


C = TypeVar("C", bound=Config)

BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
"""Names in JSON schema."""


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


File = Annotated[Path, AfterValidator(_there)]


def read(kind: type[C], path: Path) -> C:
    """The config of `kind` in a JSON file. Raises ConfigError: one line that names every field that is wrong."""
    try:
        return kind.model_validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {described(error)} (--help prints the fields)") from error


def help_text(kind: type[Config], doc: str) -> str:
    return "\n".join([doc.strip(), "", "Fields of config.json:", *_fields(kind)])


def _fields(kind: type[BaseModel], within: str = "") -> Iterator[str]:
    """A line for each: name, type, bounds, default, words."""
    schema = kind.model_json_schema()["properties"]
    for name, field in kind.model_fields.items():
        about = schema[name]
        types = [one.get("format") or one.get("type", "object") for one in about.get("anyOf", [about])]
        bounds = [f"{sign} {about[bound]:g}" for bound, sign in BOUNDS.items() if bound in about]
        default = [] if field.is_required() else [f"default {field.default}"]
        kinds = ", ".join([" ".join([" or ".join(types), *bounds]), *default])
        yield f"  {within + name:<18}{kinds}. {field.description}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{name}.")


def main(kind: type[C], run: Callable[[C], None], doc: str, arguments: Sequence[str] | None = None) -> int:
    """Command line of a trainer: `config.json` or `--help`. Exit status 0, or 2 with one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(help_text(kind, doc))
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        config = read(kind, Path(arguments[0]))
        with room_in(config.output, but=ConfigError):
            run(config)
    except (ConfigError, DiskFull) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0

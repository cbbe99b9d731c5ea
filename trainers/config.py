"""A trainer's config: one JSON file, read and checked before torch is imported, so that a typo costs no time.

The fields are those of a frozen dataclass; `Annotated[type, "help"]` is what `--help` prints.
"""

import dataclasses
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Config(Protocol):
    """What every trainer's config has."""

    @property
    def output(self) -> Path: ...


C = TypeVar("C", bound=Config)

NO_ROOM = 1 << 20
FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


class ConfigError(ValueError):
    """What the user can put right: the message names the field or file and the way out. Exit status 2."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every training run is told; the optimiser is fixed (methods.md 1.8, trainers/training.py)."""

    model: Annotated[Path, "model folder to start from, made by trainers.prepare or by another trainer"]
    output: Annotated[Path, "folder for model/, progress.jsonl, summary.json; an interrupted run goes on from here"]
    learning_rate: Annotated[float, "peak learning rate, > 0"]
    batch_size: Annotated[int, "rows of one update, over all devices"]
    micro_batch_size: Annotated[int, "rows of one forward pass on one device at most: as many as memory holds"]
    warmup_ratio: Annotated[float, "share of the updates in which the learning rate rises, 0 <= … < 1"]
    max_length: Annotated[int, "longest sequence in tokens: longer ones are cut, prompts that fill it are left out"]
    seed: Annotated[int, "seed of the shuffling"]

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", "must be > 0")
        require(self.batch_size >= 1, "batch_size", "must be >= 1")
        require(self.micro_batch_size >= 1, "micro_batch_size", "must be >= 1")
        require(0 <= self.warmup_ratio < 1, "warmup_ratio", "must be in [0, 1)")
        require(self.max_length >= 2, "max_length", "must be >= 2")
        require(
            self.batch_size % processes() == 0,
            "batch_size",
            f"({self.batch_size}) cannot be shared out evenly to {processes()} processes",
        )
        if not (self.model / "policy.json").is_file():
            raise ConfigError(
                f"model: {self.model} is no model folder (no policy.json); make one with trainers.prepare"
            )

    @property
    def rows_at_once(self) -> int:
        """Rows of one forward pass: of a device's share of the batch the largest divisor up to micro_batch_size."""
        share = self.batch_size // processes()
        return max(n for n in range(1, min(share, self.micro_batch_size) + 1) if share % n == 0)

    @property
    def passes(self) -> int:
        """Forward passes of one device that make an update."""
        return self.batch_size // (self.rows_at_once * processes())


def processes() -> int:
    """Of this run, one a device; set by accelerate launch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def require(holds: bool, field: str, what: str) -> None:
    if not holds:
        raise ConfigError(f"{field} {what}")


def require_file(path: Path, field: str) -> None:
    if not path.is_file():
        raise ConfigError(f"{field}: there is no file {path}")


def read(kind: type[T], path: Path) -> T:
    """The config of `kind` in a JSON file; a ConfigError names an unknown, missing or mistyped field."""
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    types = get_type_hints(kind)
    required = {f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}  # type: ignore[arg-type]
    if unknown := sorted(given.keys() - types.keys()):
        raise ConfigError(f"unknown field {', '.join(unknown)}; the fields are {', '.join(types)}")
    if missing := sorted(required - given.keys()):
        raise ConfigError(f"missing field {', '.join(missing)}")
    return kind(**{name: _typed(name, value, types[name]) for name, value in given.items()})


def _typed(name: str, value: Any, expected: Any) -> Any:
    accepted = tuple(get_args(expected)) or (expected,)
    if Path in accepted and isinstance(value, str):
        return Path(value)
    if float in accepted and type(value) is int:
        return float(value)
    if type(value) not in accepted:
        raise ConfigError(f"{name} must be {_type_name(expected)}, not {json.dumps(value)}")
    return value


def _type_name(expected: Any) -> str:
    names = {
        Path: "a path",
        str: "text",
        int: "an integer",
        float: "a number",
        bool: "true or false",
        NoneType: "null",
    }
    return " or ".join(names[t] for t in (get_args(expected) or (expected,)))


def help_text(kind: type, doc: str) -> str:
    lines = [doc.strip(), "", "Fields of config.json:"]
    for name, hint in get_type_hints(kind, include_extras=True).items():
        expected, what = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
        lines.append(f"  {name:<18}{_type_name(expected)}: {what}")
    return "\n".join(lines)


def write_whole(path: Path, text: str) -> None:
    """Writes a file at once: another process, or a run after one that found no room, sees all of it or none."""
    mine = path.with_suffix(f".{os.getpid()}")
    mine.write_text(text)
    os.replace(mine, path)


def main(kind: type[C], run: Callable[[C], None], doc: str, arguments: Sequence[str] | None = None) -> int:
    """Command line of a trainer: `config.json` or `--help`. Exit status 0, or 2 with one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(help_text(kind, doc))
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        config = read(kind, Path(arguments[0]))
        with _room_in(config.output):
            run(config)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _room_in(output: Path) -> Iterator[None]:
    """Tells a full disk in one way. Torch has other words for it ("unexpected pos 64 vs 0"): the disk is asked too."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        has_room = not output.exists() or shutil.disk_usage(output).free >= NO_ROOM
        if has_room and not any(words in str(error) for words in FULL):
            raise
        cause = str(error).partition("\n")[0]
        raise ConfigError(
            f"output: the disk of {output} is full ({cause}); make room there and start again: what is finished is "
            "kept, and training goes on from its last checkpoint"
        ) from error

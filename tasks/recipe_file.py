"""A recipe as its file says it, on top of the file that it extends; and where in them a field is given.

    extends = "svpo"

What a file does not say stands in the one that it extends, as that is in the round that is asked for: so what a file
says holds in every round, but for what its own `from_round.N` says from round N on. `usual_for` is no part of it.
"""

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class RecipeRefused(ValueError):
    """A recipe that cannot be: the message names the file, the line, the field and what is wrong."""


@dataclass(frozen=True)
class RecipeFile:
    """One file. `fields`: what it says of round 1; `later`: what is other from a round on, by its number."""

    name: str
    text: str
    fields: Mapping[str, Any]
    later: Mapping[int, Mapping[str, Any]]


NO_ROUND = "the number of a round from 2 on follows, and what is other in it, as in [from_round.2]"

DEEPEST = 50
"""Tables in one another, of which no recipe needs ten: what reads them calls itself for each."""


def toml(path: Path) -> tuple[str, dict[str, Any]]:
    """A file's text, without the byte order mark that some editors write, and its fields.

    Raises:
        ValueError: a message with the file's name, and the line where it is known.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        fields = tomllib.loads(text)
        inner: list[Any] = [fields]
        for _ in range(DEEPEST):
            inner = [one for outer in inner for one in (outer.values() if isinstance(outer, dict) else outer)]
            inner = [one for one in inner if isinstance(one, dict | list)]
        if inner:
            raise RecursionError
        return text, fields
    except RecursionError:
        raise ValueError(f"{path.name}: its lists or tables lie too deep in one another") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path.name}: {problem}") from None
    except ValueError:  # of int(), which Python gives as many digits as this
        most = sys.get_int_max_str_digits()
        line = next(n for n, line in enumerate(text.split("\n"), 1) if re.search(rf"(\d_?){{{most + 1}}}", line))
        raise ValueError(f"{path.name}, line {line}: a number there has more than {most} digits") from None


def number_of_round(name: object) -> int:
    """What follows `from_round`, written as numbers are: 02 would be another name of 2.

    Raises:
        ValueError: NO_ROUND.
    """
    if not re.fullmatch("[2-9]|[1-9][0-9]{1,3}", str(name)):
        raise ValueError(NO_ROUND)
    return int(str(name))


def read_files(path: Path) -> list[RecipeFile]:
    """A recipe's file, and behind it those that it extends, one after the other.

    Raises:
        RecipeRefused: for what is no TOML, and where a file extends itself or one that is not there.
    """
    files: list[RecipeFile] = []
    while True:
        try:
            text, fields = toml(path)
        except ValueError as problem:
            raise RecipeRefused(str(problem)) from None
        later, extended = fields.pop("from_round", {}), fields.pop("extends", None)
        if files:
            fields.pop("usual_for", None)
        try:
            numbered = {number_of_round(name): change for name, change in later.items()}
            if not all(isinstance(change, Mapping) for change in numbered.values()):
                raise ValueError(NO_ROUND)
        except (AttributeError, ValueError):
            raise RecipeRefused(f"{_place(path.name, text, 'from_round')}: from_round: {NO_ROUND}") from None
        for said in (fields, *later.values()):
            _read_queries(path, text, said)
        files.append(RecipeFile(path.name, text, fields, dict(sorted(numbered.items()))))
        if extended is None:
            return files
        path = _extended(path, extended, files)


def _read_queries(path: Path, text: str, said: Mapping[str, Any]) -> None:
    """Puts the text of a query in the place of the name of its file, which lies beside the recipe.

    A recipe goes to other machines, and its keys know what a query says, not what its file is called.
    """
    lessons = said.get("lessons")
    for name, rule in lessons.items() if isinstance(lessons, Mapping) else ():
        query = rule.get("select") if isinstance(rule, dict) else None
        if isinstance(query, str) and query.endswith(".sql"):
            try:
                rule["select"] = path.with_name(query).read_text()
            except (OSError, UnicodeDecodeError, ValueError) as problem:
                field = f"lessons.{name}.select"
                raise RecipeRefused(f"{_place(path.name, text, field)}: {field}: {query}: {problem}") from None


def _extended(path: Path, name: object, files: Sequence[RecipeFile]) -> Path:
    place = _place(path.name, files[-1].text, "extends")
    others = sorted(other.stem for other in path.parent.glob("*.toml") if other.stem != path.stem)
    seen = [file.name.removesuffix(".toml") for file in files]
    if name in seen:
        circle = " extends ".join([*seen[seen.index(str(name)) :], str(name)])
        raise RecipeRefused(f"{place}: extends: a recipe cannot extend itself: {circle}")
    if name not in others:
        raise RecipeRefused(f"{place}: extends: there is no recipe {name!r}{there(others)}")
    return path.with_name(f"{name}.toml")


def in_round(files: Sequence[RecipeFile], round: int) -> dict[str, Any]:
    """All that the files say of a round of a campaign, the last of them first."""
    whole: dict[str, Any] = {}
    for file in reversed(files):
        for change in (file.fields, *(change for number, change in file.later.items() if number <= round)):
            whole = merged(whole, change)
    return whole


def place_of(files: Sequence[RecipeFile], field: str, round: int) -> str:
    """Where a dotted field has the value that it has in a round, or the nearest part that is given: the file's name,
    and the line."""
    best, place = 0, files[0].name
    for file in files:
        said = {f"from_round.{number}.": change for number, change in file.later.items() if number <= round}
        for prefix, change in [*reversed(said.items()), ("", file.fields)]:
            if (depth := _depth(change, field.split("."))) > best:
                best, place = depth, _place(file.name, file.text, prefix + field)
    return place


def _place(name: str, text: str, field: str) -> str:
    return f"{name}, line {line}" if (line := line_of(text, field)) else name


def _depth(said: Any, parts: Sequence[str]) -> int:
    """How many parts of a field's name are given."""
    if not parts or not isinstance(said, Mapping) or parts[0] not in said:
        return 0
    return 1 + _depth(said[parts[0]], parts[1:])


def line_of(text: str, field: str) -> int | None:
    """The line of a file on which a dotted field or a part of it is given, or else what it is a part of.

    Tables of one name, as [[claims]], have their number behind it: claims.0.
    """
    table, found, numbers = "", None, Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)([\w.\"-]+)\]", line):
            table = header[2].replace('"', "")
            if header[1] == "[[":
                numbers[table] += 1
                table += f".{numbers[table] - 1}"
            key = table
        elif given := re.match(r"\s*([\w.\"-]+)\s*=", line):
            key = f"{table}.{given[1]}".replace('"', "").strip(".")
        else:
            continue
        if key == field or key.startswith(f"{field}."):
            return number
        if field.startswith(f"{key}."):
            found = number
    return found


def merged(whole: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`whole` with the changed fields in their places; a field that is None stays as it is."""
    result = dict(whole)
    for name, change in changes.items():
        if isinstance(change, Mapping) and isinstance(old := result.get(name, {}), Mapping):
            result[name] = merged(old, change)
        elif change is not None:
            result[name] = change
    return result


def changed(given: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What of the given fields is not as usual: a form sends all of them."""
    result: dict[str, Any] = {}
    for name, value in given.items():
        old = usual.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := changed(value, old):
                result[name] = inner
        elif value != old:
            result[name] = value
    return result


def taken_for_numbers(given: Any, read: Any, at: str = "") -> Iterator[str]:
    """Dotted fields that are given as true or false and read as a number: pydantic takes true for 1."""
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        for name, value in given.items():
            yield from taken_for_numbers(value, read.get(name), f"{at}.{name}".lstrip("."))
    elif isinstance(given, bool) and not isinstance(read, bool):
        yield at


def there(names: Iterable[str]) -> str:
    """The names that would have done, for the end of a message."""
    return f" (there are {', '.join(names)})" if list(names) else " (there is none)"

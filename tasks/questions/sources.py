"""The sources of questions by name: micro, gsm8k, math, any file, any hub data set."""

import re
from collections.abc import Mapping
from pathlib import Path

from tasks.digest import digest
from tasks.micro import world
from tasks.questions import gsm8k, math_problems
from tasks.questions.places import hub_commit, hub_rows
from tasks.questions.rows import Loaded, Question, QuestionError, as_rows
from tasks.questions.tables import FORMATS, map_rows, read_table

WAYS = (
    "micro, gsm8k, math (or math:PATH, math:hub:OWNER/NAME), hub:OWNER/NAME[/CONFIG][@SPLIT], "
    f"or a file ({', '.join('*' + one for one in FORMATS)})"
)


def load_questions(
    source: str, *, split: str = "train", count: int, seed: int, columns: Mapping[str, str] | None = None
) -> Loaded:
    """All questions of a source's split, validated, without duplicates; `count` and `seed` matter to micro
    only.

    Args:
        source: see WAYS.
        split: of micro, gsm8k, math; of a hub data set unless its name says another one.
        columns: names of a file's or hub set's columns (tables.py), where they are not the default ones.

    Raises:
        QuestionError: unknown or missing source, malformed or empty file, a row without question or answer.
    """
    kind, _, rest = source.partition(":")
    if columns and kind in ("micro", "gsm8k", "math"):
        raise QuestionError(f"columns are for files and hub data sets; {kind} knows its own")
    if source == "micro":
        return as_rows(_micro(split, count, seed), "micro", split)
    if source == "gsm8k":
        return gsm8k.load(split)
    if kind == "math":
        return math_problems.load(rest, split)
    if kind == "hub" and rest:
        name, config, own_split = _hub_set(rest)
        split = own_split or split
        rows = hub_rows(name, config, split)
        return as_rows(map_rows(rows, columns or {}), slug(name.rpartition("/")[2]), split)
    path = Path(source).expanduser()
    if not source or (not path.exists() and not source.lower().endswith(FORMATS)):
        raise QuestionError(f"unknown question source {source!r}: give {WAYS}")
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return as_rows(map_rows(read_table(path), columns or {}), slug(name), split)


def content_of(source: str, split: str = "train") -> str:
    """What stands for the rows of a source in a cache key, so that edited data is another source.

    Digest of the file or folder that `load_questions` reads, or commit of the hub's data set; "" where the hub does
    not say it, where nothing is found, and for micro, which its settings determine.
    """
    if source == "micro":
        return ""
    kind, _, rest = source.partition(":")
    if source == "gsm8k":
        found = gsm8k.find(split)
    elif kind == "math":
        found = math_problems.find(rest, split)
    elif kind == "hub" and rest:
        found = _hub_set(rest)[0]
    else:
        found = Path(source).expanduser()
    if isinstance(found, str):
        return hub_commit(found)
    return digest(found) if found.exists() else ""


def _hub_set(rest: str) -> tuple[str, str | None, str]:
    """OWNER/NAME[/CONFIG][@SPLIT] -> name of the data set, config, split ("" where it names none)."""
    place, _, split = rest.partition("@")
    owner, dataset, *config = place.split("/") if "/" in place else ("", place)
    return f"{owner}/{dataset}".strip("/"), "/".join(config) or None, split


def slug(name: str) -> str:
    """A name that can be part of an id."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "questions"


def _micro(split: str, count: int, seed: int) -> list[Question]:
    try:
        problems = world.generate(split, count, seed)
    except ValueError as problem:
        raise QuestionError(str(problem)) from problem
    return [
        Question(
            where=f"micro/{split}, question {number}",
            question=problem.question,
            answer=problem.answer,
            kinds=tuple(problem.kinds),
            level=problem.level,
            solution="\n".join(problem.solution),
        )
        for number, problem in enumerate(problems, 1)
    ]

r"""MATH (Hendrycks et al. 2021, arXiv 2103.03874), supplied by the user: 7,500 problems to train on, 5,000 to
test.

    {"problem": "What is $2+2$?", "level": "Level 1", "type": "Prealgebra", "solution": "... $\boxed{4}$."}

No copy of it comes with this project (its licence is contested).
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.check.equivalence import is_same_text
from tasks.check.notation import boxed_contents
from tasks.questions.places import BESIDE, data_folder, hub_rows
from tasks.questions.rows import Loaded, Question, QuestionError, as_rows
from tasks.questions.tables import FORMATS, as_level, read_table

_FIELDS = ("problem", "level", "type", "solution")
_PROBLEMS = "*/*.json"


def load(place: str, split: str) -> Loaded:
    r"""MATH from a folder of SUBJECT/N.json files, a JSONL/Parquet/CSV file, or "hub:OWNER/NAME".

    With an empty `place` it is looked for as CPL_DATA/math. A folder with a sub-folder or file of the split's
    name is entered. The answer is the content of the solution's last \boxed; problems whose boxes are
    missing, empty or differ are left out and counted, because their reward would be wrong.

    Raises:
        QuestionError: not found, or a file that is no MATH problem.
    """
    dropped: Counter[str] = Counter()
    found = find(place, split)
    rows = hub_rows(found, None, split) if isinstance(found, str) else _files(found, split)
    loaded = as_rows(_questions(rows, dropped), "math", split)
    left_out = tuple(f"math: {count} problems left out: {why}" for why, count in sorted(dropped.items()))
    return loaded._replace(notes=loaded.notes + left_out)


def find(place: str, split: str) -> Path | str:
    """What `load` reads: a file or a folder with SUBJECT/N.json, or the name of a data set of the hub."""
    _, hub, name = place.rpartition("hub:")
    if hub:
        return name
    folder = Path(place).expanduser() if place else (data_folder() or BESIDE) / "math"
    for path in (folder / split, *(folder / f"{split}{ending}" for ending in FORMATS)):
        if path.is_file() or any(path.glob(_PROBLEMS)):
            return path
    return folder


def _files(path: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.is_file():
        return read_table(path)
    if files := sorted(path.glob(_PROBLEMS)):
        return ((str(file), _problem(file)) for file in files)
    raise QuestionError(
        f"MATH, split {split!r}, was not found in {path}. It is yours to supply: a folder with "
        f"SUBJECT/N.json, or a JSONL, Parquet or CSV file with {', '.join(_FIELDS)}; name it as math:PATH "
        "or math:hub:OWNER/NAME"
    )


def _problem(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_bytes()))
    except ValueError as problem:
        raise QuestionError(f"{file}: this is no JSON object: {problem}") from problem


def _questions(rows: Iterator[tuple[str, dict[str, Any]]], dropped: Counter[str]) -> Iterator[Question]:
    for where, row in rows:
        if missing := [name for name in _FIELDS if name not in row]:
            raise QuestionError(f"{where}: there is no {', '.join(missing)}; the fields are {', '.join(row)}")
        boxed = boxed_contents(str(row["solution"] or ""))
        if not boxed:
            dropped[r"no \boxed answer"] += 1
        elif not boxed[-1]:
            dropped[r"empty \boxed answer"] += 1
        elif not all(is_same_text(boxed[-1], other) for other in boxed):
            dropped[r"several \boxed answers that differ"] += 1
        else:
            yield Question(
                where=where,
                question=str(row["problem"] or ""),
                answer=boxed[-1],
                kinds=(str(row["type"]),),
                level=as_level(row["level"]),
                solution=row["solution"],
            )

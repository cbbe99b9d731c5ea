"""Questions from any JSONL, Parquet or CSV file (also gzip'd), and how columns of any name are mapped.

Default names are question, answer, kind, level, solution; `choices` is used only when mapped: its members are
appended as lettered options (A. ..., B. ...).
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tasks.questions.rows import Question, QuestionError

FORMATS = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")
REQUIRED = ("question", "answer")
OPTIONAL = ("kind", "level", "solution")
KNOWN = (*REQUIRED, *OPTIONAL, "choices")

Row = dict[str, Any]


def read_table(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows of a file, each with its place ("questions.jsonl, line 7").

    Raises:
        QuestionError: no such file, unknown format, empty, or a malformed row (named by its line).
    """
    name = path.name.lower()
    if not path.is_file():
        raise QuestionError(f"there is no file {path.absolute()}")
    if path.stat().st_size == 0:
        raise QuestionError(f"{path} is empty")
    if not name.endswith(FORMATS):
        raise QuestionError(f"{path}: unknown format; give one of {', '.join('*' + one for one in FORMATS)}")
    if name.endswith(".parquet"):
        return _parquet(path)
    return _csv(path, _read(path)) if ".csv" in name else _jsonl(path, _read(path))


def map_rows(rows: Iterable[tuple[str, Row]], columns: Mapping[str, str]) -> Iterator[Question]:
    """Questions from rows; `columns` maps question, answer, kind, level, solution, choices to their columns.

    Raises:
        QuestionError: a mapped or required column is missing (those that exist are listed), or a value is no text.
    """
    if unknown := columns.keys() - set(KNOWN):
        raise QuestionError(f"columns: unknown {sorted(unknown)}; what can be mapped is {', '.join(KNOWN)}")
    for where, row in rows:
        for key in (*REQUIRED, *columns):
            if columns.get(key, key) not in row:
                raise QuestionError(
                    f"{where}: there is no column {columns.get(key, key)!r} for the {key}; the columns are "
                    f"{', '.join(map(repr, row))}. Map it with columns={{{key!r}: COLUMN}}"
                )
        values = {key: row.get(columns.get(key, key)) for key in (*REQUIRED, *OPTIONAL)}
        question = _text(values["question"], where, "question")
        if "choices" in columns:
            options = zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", row[columns["choices"]], strict=False)
            question = "\n".join([question, *(f"{letter}. {option}" for letter, option in options)])
        yield Question(
            where=where,
            question=question,
            answer=_text(values["answer"], where, "answer"),
            kinds=_kinds(values["kind"]),
            level=as_level(values["level"]),
            solution=None if values["solution"] is None else str(values["solution"]),
        )


def as_level(value: Any) -> int:
    """The first integer of a level such as 3, "3" or "Level 3"; 0 where there is none."""
    number = re.search(r"\d+", str(value))
    return int(number[0]) if number else 0


def _kinds(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _text(value: Any, where: str, column: str) -> str:
    if isinstance(value, list | dict):
        raise QuestionError(f"{where}: the {column} is a {type(value).__name__}, expected a text or a number")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _read(path: Path) -> str:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise QuestionError(f"{path}, line {line}: this is not UTF-8 text") from problem
    except (gzip.BadGzipFile, EOFError) as problem:
        raise QuestionError(f"{path}: this is no complete gzip file ({problem})") from problem


def _jsonl(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise QuestionError(
                f"{where}: this is no JSON object: {problem.msg} at column {problem.colno}"
            ) from problem
        if not isinstance(row, dict):
            raise QuestionError(f"{where}: expected a JSON object, found {type(row).__name__}")
        yield where, row


def _csv(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise QuestionError(f"{where}: expected {len(reader.fieldnames or ())} fields as in the header")
            yield where, row
    except csv.Error as problem:
        raise QuestionError(f"{path}, line {reader.line_num}: {problem}") from problem


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise QuestionError(f"{path}: this is no Parquet file: {str(problem).splitlines()[0]}") from problem
    for number, row in enumerate(table.iter_rows(named=True), 1):
        yield f"{path}, row {number}", row

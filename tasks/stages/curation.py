"""Curation of a lesson: which of its rows are learnt from, and how much, as a user's SQL says (`select` of a recipe).

The query sees the lesson's rows and the trees and nodes of its evidence, under the warehouse's names and in columns of
its tables. It runs as `cpl sql` runs one: read-only, without files and network, in a process with limits. It gives the
keys of the rows that are kept; of the others each has a reason.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from infra.desk.query import Limits, QueryFailed, QueryRefused, asked
from infra.warehouse import CONFIG
from tasks.lessons.rule import LessonRule
from tasks.lessons.searched import Row
from tasks.records import TABLES, frame

KEYS = {"preferences": "pair_id", "imitations": "example_id"}
"""By table: the column that names a row of a lesson."""
NOT_SELECTED = "not selected"
LIMITS = Limits(seconds=600.0)


class SelectRefused(ValueError):
    """A query of a lesson that cannot be followed: the message names the field and what is wrong."""


def refuse_selects(rules: Mapping[str, LessonRule]) -> None:
    """Asks the query of every lesson of empty tables, before anything is spent.

    Raises:
        SelectRefused: for what is no query, or whose columns are not those that a lesson needs.
    """
    for name, rule in rules.items():
        if rule.select:
            _answer(name, rule, frame(rule.gives, []), frame("trees", []), frame("nodes", []))


def selected(
    name: str, rule: LessonRule, rows: Sequence[Row], trees: pl.DataFrame, nodes: pl.DataFrame
) -> tuple[list[Row], pl.DataFrame]:
    """The rows of the lesson `name` that its query keeps, and those that it does not (`divided`).

    `trees` and `nodes`: of its evidence.
    """
    return divided(name, rule, rows, _answer(name, rule, frame(rule.gives, rows), trees, nodes))


def divided(name: str, rule: LessonRule, rows: Sequence[Row], answer: pl.DataFrame) -> tuple[list[Row], pl.DataFrame]:
    """The rows that are learnt from, in their order, and those that are not, with the column `reason` before theirs.

    Raises:
        SelectRefused: where the answer names a row twice or one that is none of the lesson's, or gives a weight that is
            not above 0.
    """
    key = KEYS[rule.gives]
    table = frame(rule.gives, rows)
    answers = {one[key]: one for one in answer.iter_rows(named=True)}
    if strangers := answers.keys() - set(table[key]):
        raise _refusal(name, f"{key} {min(map(str, strangers))!r} is none of the lesson's")
    if len(answers) < answer.height:
        raise _refusal(name, f"{answer.height - len(answers)} rows name a {key} again: ask `select distinct`")
    reasons = [answers[row[key]].get("reason") if row[key] in answers else NOT_SELECTED for row in rows]
    kept = [_weighed(name, row, answers[row[key]]) for row, reason in zip(rows, reasons, strict=True) if reason is None]
    told = table.select(pl.Series("reason", reasons, pl.String()), pl.all())
    return kept, told.filter(pl.col("reason").is_not_null())


def _weighed(name: str, row: Row, answer: Mapping[str, object]) -> Row:
    if "weight" not in answer:
        return row
    factor = answer["weight"]
    if not isinstance(factor, int | float) or not 0 < factor < float("inf"):
        raise _refusal(name, f"the weight of {row['example_id']!r} is {factor}: above 0; leave out what is not learnt")
    return row | {"weight": row["weight"] * factor}


def _answer(
    name: str, rule: LessonRule, lesson: pl.DataFrame, trees: pl.DataFrame, nodes: pl.DataFrame
) -> pl.DataFrame:
    """What the query says of these tables, its columns checked."""
    with tempfile.TemporaryDirectory(prefix="cpl-select-") as scratch:
        path = Path(scratch) / "lesson.duckdb"
        with duckdb.connect(path, config=CONFIG) as connection:
            for table, rows in ((rule.gives, lesson), ("trees", trees), ("nodes", nodes)):
                connection.register("given", rows.to_arrow())
                connection.execute(f"create table {table} as from given")
                connection.unregister("given")
        try:
            with asked(path, rule.select, limits=LIMITS) as batches:
                answer = pa.Table.from_batches(list(batches))
        except (QueryRefused, QueryFailed) as problem:
            raise _refusal(name, str(problem)) from None
    found = pl.DataFrame(answer)
    if fault := "; ".join(faults(rule, found.schema)):
        raise _refusal(name, fault)
    return found


def faults(rule: LessonRule, given: pl.Schema) -> Iterable[str]:
    """What is wrong with the columns that a query gives."""
    key = KEYS[rule.gives]
    if key not in given:
        yield f"it gives no column {key}, which names the rows that are kept"
    for name, kind in given.items():
        if name in (key, "reason"):
            if kind not in (pl.String(), pl.Null()):
                yield f"{name} is no text"
        elif name == "weight" and "weight" in TABLES[rule.gives]:
            if not (kind.is_integer() or kind.is_float()):
                yield "weight is no integer and no double"
        elif name == "weight":
            yield "its loss knows no weights of preferences"
        else:
            yield f"it gives a column {name!r}, of which nothing is known"


def _refusal(name: str, why: str) -> SelectRefused:
    return SelectRefused(f"lessons.{name}.select: {why}")

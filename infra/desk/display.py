"""How answers and summaries look: rich tables for people, CSV and JSON for programs."""

import csv
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from infra.desk.query import QueryFailed, QueryRefused
from infra.desk.summary import Row, Section, headline, sections
from infra.store.rounds import NoSuchRound
from infra.store.s3 import StoreError
from infra.warehouse import Answer

ROWS_SHOWN = 100
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line end, and those that turn the direction of writing."""
RECORDS_SHOWN = 10
"""Rows that are shown as records, where they are too wide for a table."""
CELL_WIDTH = 60
RECORD_CELL_WIDTH = 400
PIPE_WIDTH = 160
"""Characters a line where the output is a file or a pipe."""


def console() -> Console:
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def complain(problem: object) -> None:
    """What went wrong, in words, on standard error. They may quote a question, a model or a name in the store."""
    typer.echo(visible(str(problem)), err=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """A wrong query, a missing round, a store that is down, a full disk: told in words, with exit status 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # who reads has enough: typer ends quietly
    except (duckdb.Error, QueryRefused, QueryFailed, NoSuchRound, StoreError, OSError) as problem:
        complain(problem)
        raise typer.Exit(1) from problem


def print_json(document: Any) -> None:
    print(_json(document))


def print_records(answers: Iterable[Answer]) -> None:
    """The rows of all of them as one JSON list, printed as they come."""
    before = "["
    for answer in answers:
        for record in answer.records():
            print(before + _json([record])[1:-2], end="")
            before = ","
    print("[]" if before == "[" else "\n]")


def _json(document: Any) -> str:
    """Characters that a terminal would obey are escaped, as JSON allows for any. It has no name for nan and the
    infinities: they are null."""
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(_finite(key)) if isinstance(key, float) else key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def print_csv(answers: Iterable[Answer]) -> None:
    """The rows of all of them, as they come. Lists and structs are written as JSON, nulls as nothing. For a terminal,
    control characters are made visible."""
    shown = visible if sys.stdout.isatty() else str
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, answer in enumerate(answers):
        if number == 0:
            writer.writerow([shown(name) for name in answer.columns])
        for row in answer.rows:
            texts = (json.dumps(_finite(cell), default=str) if isinstance(cell, (list, dict)) else cell for cell in row)
            writer.writerow([shown(text) if isinstance(text, str) else text for text in texts])


def print_answer(answer: Answer) -> None:
    """Prints a table with one line a row and long cells cut. A table that is still too wide becomes records with one
    line a column."""
    out = console()
    shown = answer.rows[:ROWS_SHOWN]
    if not shown:
        out.print("No rows.")
        return
    columns = [visible(name) for name in answer.columns]
    whole, cut = ([[_cell(cell, width) for cell in row] for row in shown] for width in (out.width, CELL_WIDTH))
    cells = whole if _fits(columns, whole, out.width) else cut
    if _fits(columns, cells, out.width):
        out.print(_table(columns, cells))
        more = len(answer.rows) > ROWS_SHOWN
    else:
        shown = shown[:RECORDS_SHOWN]
        for number, row in enumerate(shown, start=1):
            out.print(f"row {number}")
            out.print(_record(columns, [_cell(cell, RECORD_CELL_WIDTH) for cell in row]))
        more = len(answer.rows) > RECORDS_SHOWN
    if more:
        out.print(f"… only the first {len(shown)} rows are shown; --csv and --json print them all.")


def _fits(columns: list[str], cells: list[list[str]], width: int) -> bool:
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    return sum(widths) + 3 * len(widths) <= width


def print_rounds(listed: list[Row]) -> None:
    """The rounds of `cpl rounds`."""
    out = console()
    if not listed:
        out.print("No round ran yet. Make one: `make round`, or run cpl/round in the UI.")
        return
    header = [name.replace("_", " ") for name in listed[0]]
    out.print(_table(header, [[_cell(cell, CELL_WIDTH) for cell in map(row.get, listed[0])] for row in listed]))
    out.print("One of them: cpl show ROUND --campaign NAME; cpl sql … --round ROUND --campaign NAME.")


def print_listing(relations: list[Row], queries: list[tuple[str, str]]) -> None:
    """Tables and views with their grain, and worked queries with what they ask."""
    out = console()
    out.print(_table(["table or view", "what it holds"], [[row["name"], row["comment"]] for row in relations]))
    out.print(_table(["worked query: cpl sql --file …", "what it asks"], [list(query) for query in queries]))
    out.print(
        "Columns of one, with units and sources:\n"
        "  cpl sql \"select column_name, data_type, comment from duckdb_columns() where table_name = 'nodes'\""
    )


def print_summary(summary: Row) -> None:
    out = console()
    out.print(visible(headline(summary)))
    if summary["error"]:
        out.print(f"\n{visible(summary['error'])}\n")
    print_sections(sections(summary))
    for note in summary["notes"]:
        out.print(f"Note: {visible(note)}")


def print_sections(found: Iterable[Section]) -> None:
    """Those without rows are left out."""
    out = console()
    for section in found:
        if section.rows:
            out.print(_table(section.header, section.rows, title=section.title))


def _table(header: list[str], rows: list[list[str]], title: str | None = None) -> Table:
    """Columns whose every cell reads as a number are set flush right."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    rows = [[visible(cell) for cell in row] for row in rows]
    for index, name in enumerate(header):
        cells = [row[index] for row in rows if row[index]]
        numeric = bool(cells) and all(cell.replace(",", "").lstrip("-").replace(".", "", 1).isdigit() for cell in cells)
        table.add_column(visible(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _record(columns: list[str], cells: list[str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, cell in zip(columns, cells, strict=True):
        table.add_row(name, cell)
    return table


def _cell(value: Any, width: int) -> str:
    """One line of at most `width` characters. A long list is its beginning and its length."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = visible(f"{value:.6g}" if isinstance(value, float) else str(value)).replace("\n", "⏎")
    if len(text) <= width:
        return text
    end = f"… {len(value)} items]" if isinstance(value, list) else "…"
    return text[: width - len(end)] + end


def visible(text: str) -> str:
    """Text of models and questions is anybody's: what a terminal would obey is shown and not sent."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)

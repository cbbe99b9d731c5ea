"""How answers and summaries look: rich tables for people, CSV and JSON for programs."""

import csv
import json
import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from infra.summary import Row, accuracy_grid, comparison_grid, engine_grid, ranking_grid
from infra.warehouse import Answer

ROWS_SHOWN = 100
CELL_WIDTH = 400
PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe, which have no width of their own."""


def console() -> Console:
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_csv(answer: Answer) -> None:
    """Lists and structs are written as JSON, nulls as nothing."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([json.dumps(cell, default=str) if isinstance(cell, (list, dict)) else cell for cell in row])


def print_answer(answer: Answer) -> None:
    """At most ROWS_SHOWN rows; long cells are cut."""
    out = console()
    if answer.columns:
        out.print(_table(answer.columns, [[_cell(cell) for cell in row] for row in answer.rows[:ROWS_SHOWN]]))
    if len(answer.rows) > ROWS_SHOWN:
        out.print(f"… only the first {ROWS_SHOWN} rows are shown; --csv and --json print them all.")
    elif not answer.rows:
        out.print("No rows.")


def print_listing(relations: list[Row], examples: list[tuple[str, str]]) -> None:
    """Tables and views with their grain, and example queries with what they ask."""
    out = console()
    out.print(_table(["table or view", "what it holds"], [[row["name"], row["comment"]] for row in relations]))
    out.print(_table(["example: cpl sql --file …", "what it asks"], [list(example) for example in examples]))
    out.print(
        "Columns of one, with units and sources:\n"
        "  cpl sql \"select column_name, data_type, comment from duckdb_columns() where table_name = 'nodes'\""
    )


def print_summary(summary: Row) -> None:
    out = console()
    made_of = ", ".join(part for part in (summary["recipe"], summary["model"]) if part)
    out.print(
        f"Round {summary['round']} of {summary['campaign']}: {summary['state']} in {summary['seconds']:.1f} s"
        + (f" ({made_of})" if made_of else "")
    )
    if summary["error"]:
        out.print(f"\n{summary['error']}\n")
    if summary["stages"]:
        stages = [
            [stage["step"], f"{stage['seconds']:.1f}", "yes" if stage["cached"] else ""] for stage in summary["stages"]
        ]
        out.print(_table(["stage", "seconds", "reused"], stages))
    if summary["counts"]:
        out.print(_table(["table", "rows"], [[name, f"{rows:,}"] for name, rows in summary["counts"].items()]))
    if summary["evaluations"]:
        grid = accuracy_grid(summary["evaluations"], summary["models"])
        out.print(_table(*grid, title="Accuracy ± standard error, or its 95 % interval"))
    if summary["comparisons"]:
        title = "Which model is better, question by question (McNemar's test, 95 %)"
        out.print(_table(*comparison_grid(summary["comparisons"]), title=title))
    if summary["value_rankings"]:
        title = "How V ranks siblings of held-out trees"
        out.print(_table(*ranking_grid(summary["value_rankings"]), title=title))
    if summary["engine"]:
        out.print(_table(*engine_grid(summary["engine"]), title="The engine"))
    for note in summary["notes"]:
        out.print(f"Note: {note}")


def _table(header: list[str], rows: list[list[str]], title: str | None = None) -> Table:
    """Columns whose every cell reads as a number are set flush right."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, name in enumerate(header):
        cells = [row[index] for row in rows if row[index]]
        numeric = bool(cells) and all(cell.replace(",", "").lstrip("-").replace(".", "", 1).isdigit() for cell in cells)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _cell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "…"

"""The tables of a round as frames: their columns and types are those of `sql/tables`, which documents each.

A stage writes a table without `campaign` and `round`, and without the columns that are marked as derived: the
warehouse adds them.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

COLUMN = re.compile(r"^    (\w+) (\w+)(\[\])?(?: not null)?(?: using compression \w+)?,$", re.MULTILINE)
TYPES: dict[str, pl.DataType] = {
    "boolean": pl.Boolean(),
    "integer": pl.Int32(),
    "bigint": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "varchar": pl.String(),
    "timestamptz": pl.Datetime("us", "UTC"),
}
"""DuckDB's types in polars."""


def _schema(statements: str) -> pl.Schema:
    """The columns of a `create table` statement."""
    columns = {name: pl.List(TYPES[of]) if is_list else TYPES[of] for name, of, is_list in COLUMN.findall(statements)}
    return pl.Schema({name: of for name, of in columns.items() if name not in ("campaign", "round")})


FOLDER = Path(__file__).parent.parent / "sql" / "tables"
TABLES = {path.stem.partition("_")[2]: _schema(path.read_text()) for path in sorted(FOLDER.glob("*.sql"))}


def frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a typed frame of `table`.

    Raises:
        ValueError: for a row with a missing or misspelt column, which is named, or with a value of another type.
    """
    schema = TABLES[table]
    rows = list(rows)
    for row in rows:
        if row.keys() != schema.keys():
            raise ValueError(f"a row of {table} has the wrong columns: {sorted(row.keys() ^ schema.keys())}")
    # Arrow reads rows with token ids in little more than half of polars' time.
    arrow = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    return pl.DataFrame(pa.Table.from_pylist(rows, arrow))

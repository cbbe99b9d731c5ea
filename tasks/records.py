"""The tables of a round as frames: their columns and types are those of `sql/tables`, which documents each.

A stage writes a table without `campaign` and `round`, and without the columns that are marked as derived: the
warehouse adds them.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
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


@functools.cache
def _struct(table: str) -> pa.StructType:
    """A row of the table, in Arrow. Not made on import: polars' threads would begin, and who forks then loses them."""
    return pa.struct(list(pl.DataFrame(schema=TABLES[table]).to_arrow(compat_level=pl.CompatLevel.oldest()).schema))


def structs(table: str, rows: Sequence[Mapping[str, Any]]) -> pa.StructArray:
    """Rows as typed structs of `table`: Arrow reads them in a part of polars' time.

    Raises:
        ValueError: for a row with a missing or misspelt column, which is named.
        TypeError, ValueError, OverflowError: for a value that its column cannot hold.
    """
    columns = TABLES[table].keys()
    for row in rows:
        if row.keys() != columns:
            raise ValueError(f"a row of {table} has the wrong columns: {sorted(row.keys() ^ columns)}")
    return pa.array(rows, _struct(table))


def frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a typed frame of `table`, which raises as `structs` does."""
    return pl.DataFrame(pa.Table.from_struct_array(structs(table, list(rows))))

"""A frozen DuckLake catalogue beside the Parquet files: ordinary tables in SQLite, of one snapshot that holds all rows.

After the specification of DuckLake 1.0 (ducklake.select). Paths are relative, so that the folder can be moved; a reader
that is not started in it is told where it lies.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow.parquet as pq

from infra.desk.export.tables import FOLDER, Column, Table
from infra.warehouse import SQL

CATALOGUE = "catalogue.sqlite"
EMPTY, WHOLE = 0, 1
"""Its two snapshots: the schema alone, and all tables with their rows."""
FIRST_TABLE = 1
HERE = {"path": "", "path_is_relative": True}
"""Schema and tables have no folders of their own."""

Row = dict[str, Any]


def write_catalogue(folder: Path, tables: list[Table], name: str, created_at: datetime, code: str) -> None:
    """`name`: of the round, from which the catalogue's identities are made: the same round has the same ones."""
    with closing(sqlite3.connect(folder / CATALOGUE)) as database, database:
        database.executescript((SQL / "ducklake" / "catalogue.sql").read_text())
        for relation, row in (*_lake(tables, name, created_at, code), *_tables(folder, tables, name)):
            query = f"insert into ducklake_{relation} ({', '.join(row)}) values ({', '.join('?' * len(row))})"
            database.execute(query, list(row.values()))


def _lake(tables: list[Table], name: str, created_at: datetime, code: str) -> Iterator[tuple[str, Row]]:
    """Rows of what there is one of, by the name of their table."""
    facts = {"version": "1.0", "created_by": f"CPL Factory {code}", "data_path": f"{FOLDER}/", "encrypted": "false"}
    for key, value in facts.items():
        yield "metadata", {"key": key, "value": value}
    at = {"snapshot_time": created_at.isoformat(sep=" ")}
    yield "snapshot", at | _snapshot(EMPTY, next_catalog_id=FIRST_TABLE, next_file_id=0)
    yield "snapshot", at | _snapshot(WHOLE, next_catalog_id=FIRST_TABLE + len(tables), next_file_id=len(tables))
    created = [f'created_table:"main"."{table.name}"' for table in tables]
    filled = [f"inserted_into_table:{number}" for number, _ in enumerate(tables, FIRST_TABLE)]
    yield "snapshot_changes", {"snapshot_id": EMPTY, "changes_made": 'created_schema:"main"'}
    changes = {"snapshot_id": WHOLE, "changes_made": ",".join(created + filled), "commit_message": name}
    yield "snapshot_changes", changes
    schema = {"schema_id": 0, "schema_uuid": _identity(name), "begin_snapshot": EMPTY, "schema_name": "main"}
    yield "schema", schema | HERE


def _tables(folder: Path, tables: list[Table], name: str) -> Iterator[tuple[str, Row]]:
    """Rows of each table, of its one file and of its columns, by the name of their table."""
    for number, table in enumerate(tables, FIRST_TABLE):
        of_table, since = {"table_id": number}, {"begin_snapshot": WHOLE}
        yield "schema_versions", {**of_table, **since, "schema_version": WHOLE}
        about = {"table_uuid": _identity(f"{name}/{table.name}"), "schema_id": 0, "table_name": table.name}
        yield "table", {**of_table, **since, **about, **HERE}
        yield "tag", {"object_id": number, **since, "key": "comment", "value": table.comment}
        parquet = pq.ParquetFile(folder / table.path).metadata
        file = {"data_file_id": number - FIRST_TABLE}
        sizes = {"record_count": table.rows, "file_size_bytes": table.size}
        read = {"path": Path(table.path).name, "path_is_relative": True, "file_format": "parquet", "row_id_start": 0}
        yield "data_file", {**file, **of_table, **since, **sizes, **read, "footer_size": parquet.serialized_size}
        yield "table_stats", {**of_table, **sizes, "next_row_id": table.rows}
        for column in table.columns:
            for row in _columns(column):
                yield "column", {**of_table, **since, **row}
            of_column = {**of_table, "column_id": column.number}
            yield "column_tag", {**of_column, **since, "key": "comment", "value": column.comment}
            size, nulls, lowest, highest = _statistics(parquet, column)
            bounds = {"min_value": lowest, "max_value": highest}
            counts = {"column_size_bytes": size, "value_count": table.rows - nulls, "null_count": nulls}
            yield "file_column_stats", {**file, **of_column, **bounds, **counts}
            yield "table_column_stats", {**of_column, **bounds, "contains_null": nulls > 0}


def _snapshot(number: int, **following: int) -> Row:
    return {"snapshot_id": number, "schema_version": number, **following}


def _columns(column: Column) -> list[Row]:
    """Of a list two: itself, and its elements below it."""
    numbers = {"column_id": column.number, "column_order": column.number}
    own = {**numbers, "column_name": column.name, "nulls_allowed": column.may_be_null}
    if not column.is_list:
        return [own | {"column_type": column.kind.ducklake}]
    element = {
        "column_id": column.number + 1,
        "column_order": column.number + 1,
        "column_name": "element",
        "column_type": column.kind.ducklake,
        "nulls_allowed": True,
        "parent_column": column.number,
    }
    return [own | {"column_type": "list"}, element]


def _statistics(parquet: pq.FileMetaData, column: Column) -> tuple[int, int, str | None, str | None]:
    """Bytes and nulls of a column, and its lowest and highest value where it holds whole numbers.

    Of others bounds may be left out; of texts they would be long, and of floats a NaN is on neither side.
    """
    groups = [parquet.row_group(number) for number in range(parquet.num_row_groups)]
    path = f"{column.name}.list.element" if column.is_list else column.name
    chunks = [
        chunk
        for group in groups
        for chunk in map(group.column, range(group.num_columns))
        if chunk.path_in_schema == path
    ]
    size = sum(chunk.total_compressed_size for chunk in chunks)
    known = [chunk.statistics for chunk in chunks if chunk.statistics is not None]
    nulls = 0 if column.is_list else sum(one.null_count for one in known)
    bounded = [one for one in known if one.has_min_max]
    if column.kind.croissant != "sc:Integer" or column.is_list or not bounded:
        return size, nulls, None, None
    return size, nulls, str(min(one.min for one in bounded)), str(max(one.max for one in bounded))


def _identity(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))

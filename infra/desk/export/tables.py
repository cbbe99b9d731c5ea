"""The tables of a round as Parquet, with what the warehouse says of their columns.

Fields carry the numbers by which a DuckLake catalogue knows them: from 1 within a table, elements of lists included.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from infra.digest import digest
from infra.store.rounds import Publication
from infra.warehouse import opened

FOLDER = "tables"
BATCH = 10_000


class Kind(NamedTuple):
    """What a DuckDB type is called elsewhere."""

    arrow: pa.DataType
    ducklake: str
    croissant: str


KINDS = {
    "VARCHAR": Kind(pa.string(), "varchar", "sc:Text"),
    "INTEGER": Kind(pa.int32(), "int32", "sc:Integer"),
    "BIGINT": Kind(pa.int64(), "int64", "sc:Integer"),
    "FLOAT": Kind(pa.float32(), "float32", "sc:Float"),
    "DOUBLE": Kind(pa.float64(), "float64", "sc:Float"),
    "BOOLEAN": Kind(pa.bool_(), "boolean", "sc:Boolean"),
    "TIMESTAMP WITH TIME ZONE": Kind(pa.timestamp("us", "UTC"), "timestamptz", "sc:DateTime"),
}


@dataclass(frozen=True)
class Column:
    """`kind`: of a list that of its elements. `number`: of the field; that of a list's elements is the next."""

    name: str
    number: int
    kind: Kind
    is_list: bool
    may_be_null: bool
    comment: str

    @property
    def field(self) -> pa.Field:
        own, element = ({"PARQUET:field_id": str(self.number + further)} for further in (0, 1))
        kind = pa.list_(pa.field("element", self.kind.arrow, metadata=element)) if self.is_list else self.kind.arrow
        return pa.field(self.name, kind, metadata=own)


@dataclass(frozen=True)
class Table:
    """`path`: where its rows lie, below the folder of the export."""

    name: str
    comment: str
    columns: list[Column]
    path: str
    rows: int
    size: int
    sha256: str


def write_tables(warehouse: Path, found: Publication, folder: Path) -> list[Table]:
    """All tables of a round, each as `tables/<name>.parquet` below the folder, in the order of their rows."""
    (folder / FOLDER).mkdir()
    with opened(warehouse) as connection:
        described = connection.sql("select table_name, comment from duckdb_tables() order by table_name").fetchall()
        return [_write(connection, found, folder, name, comment or "") for name, comment in described]


def _write(connection: duckdb.DuckDBPyConnection, found: Publication, folder: Path, name: str, comment: str) -> Table:
    path = f"{FOLDER}/{name}.parquet"
    columns = list(_columns(connection, name))
    of_round = {"campaign": found.campaign, "round": found.round}
    query = f"select * from {name} where campaign = $campaign and round = $round order by rowid"
    reader: pa.RecordBatchReader = connection.sql(query, params=of_round).to_arrow_reader(BATCH)
    schema = pa.schema([column.field for column in columns])
    rows = 0
    with pq.ParquetWriter(folder / path, schema, compression="zstd") as parquet:
        for batch in reader:
            parquet.write_batch(batch.cast(schema))
            rows += batch.num_rows
    return Table(name, comment, columns, path, rows, (folder / path).stat().st_size, digest(folder / path))


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> Iterator[Column]:
    number = 1
    query = (
        "select column_name, data_type, is_nullable, comment from duckdb_columns() where table_name = $table "
        "order by column_index"
    )
    for name, data_type, may_be_null, comment in connection.sql(query, params={"table": table}).fetchall():
        is_list = data_type.endswith("[]")
        yield Column(name, number, KINDS[data_type.removesuffix("[]")], is_list, may_be_null, comment or "")
        number += 1 + is_list

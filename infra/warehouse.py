"""The warehouse (design D7): a DuckDB file a round, made of its Parquet by `sql/`; several are opened as one database.

Parquet is the truth; a file can be made from it at any time. One process builds it in a scratch folder and closes it;
everybody else opens it read-only. So a campaign's next round costs what is new: no file is copied or written again.
DuckDB downloads no extension: S3 is read by the store, not here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from infra.environment import ROOT

if TYPE_CHECKING:
    import polars as pl

SQL = ROOT / "sql"

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "3GiB",
    "threads": 2,
}
"""Modest, because the engine and the trainers want the machine; what does not fit is spilled beside the file."""

AS_IT_IS = (
    "insert into {table} by name select $campaign as campaign, $round::integer as round, * from read_parquet($path)"
)
"""How a table is filled from its Parquet, unless `sql/loads` says how its columns that are made here come about."""

ROW_GROUP = 16_384
"""DuckDB knows the least and greatest values of a group of rows, and leaves out those that a join does not ask for: of
a few trees it reads few texts besides theirs."""

GRAINS = (
    "select table_name as name, comment from duckdb_tables() "
    "union all select view_name, comment from duckdb_views() where not internal"
)
"""Every relation by its name, and what one row of it is."""

IN_WORDS = {"preferences": ("pairs", "pair_id"), "imitations": ("imitated_paths", "example_id")}
"""By table that names nodes: the view that adds their words and token ids, and its key within a lesson."""

ROWS_SHOWN = 5
WIDTH_SHOWN = 200


class ParquetSource(NamedTuple):
    """One Parquet file (local path) and the round whose rows it holds."""

    campaign: str
    round: int
    path: Path


@dataclass(frozen=True)
class Violation:
    """A broken rule of `sql/checks`: its rows as text, at most ROWS_SHOWN of `count`."""

    rule: str
    query: str
    rows: list[str]
    count: int

    def __str__(self) -> str:
        more = f"\n  … and {self.count - len(self.rows)} more" if self.count > len(self.rows) else ""
        return f"{self.rule} ({self.query}: {self.count} rows)" + "".join(f"\n  {row}" for row in self.rows) + more


class Answer(NamedTuple):
    """The result of a query: column names, and rows as Python values."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def statements(folder: str) -> list[Path]:
    """The files of `sql/<folder>`, in the order in which they run where they make something: that of their numbers."""
    return sorted((SQL / folder).glob("*.sql"))


def relation_of(file: Path) -> str:
    """What a file of tables, derived tables or views makes: NN_name.sql makes `name`."""
    return file.stem.partition("_")[2]


def relations(folder: str) -> list[str]:
    """The relations that `sql/<folder>` makes, in its order."""
    return list(map(relation_of, statements(folder)))


def definition(folder: str, relation: str) -> str:
    """The SQL that makes a relation of `sql/<folder>`."""
    (file,) = (file for file in statements(folder) if relation_of(file) == relation)
    return file.read_text()


def first_comment(query: Path) -> str:
    """What a check, a worked query or an export says of itself: its first line, without the dashes."""
    return query.read_text().partition("\n")[0].removeprefix("--").strip()


def build(
    path: Path,
    tables: Mapping[str, Sequence[ParquetSource]],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes a fresh warehouse to `path` from the Parquet files of each table; a file that is there is replaced.

    A table without sources is there, typed and empty. Columns are matched by name. An unknown column, or a null or
    missing one where the table wants a value, is a `duckdb.Error` that names the file. `told`: how far it is, before
    each of its steps.
    """
    path.unlink(missing_ok=True)
    with _new(path) as connection:
        connection.begin()
        for file in statements("tables"):
            connection.execute(file.read_text())
        sources = [(table, source) for table in relations("tables") for source in tables.get(table, ())]
        made_of_them = [file for folder in ("views", "derived") for file in statements(folder)]
        steps: list[Callable[[], object]] = [partial(_load, connection, *one) for one in sources]
        steps += [partial(connection.execute, file.read_text()) for file in made_of_them]
        for done, step in enumerate(steps):
            told(done, len(steps))
            step()
        connection.commit()


@contextmanager
def _new(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database in groups of ROW_GROUP rows. It waits for no disk: what a crash of the machine cuts off is made
    again from the Parquet. Who keeps one sees to it that it is on the disk before it has its name."""
    quoted = str(path).replace("'", "''")
    settings = CONFIG | {"temp_directory": f"{path}.tmp", "fsync_mode": "none"}
    with duckdb.connect(config=settings) as connection:
        connection.execute(f"attach '{quoted}' as round (row_group_size {ROW_GROUP})")
        connection.execute("use round")
        yield connection


@contextmanager
def opened(paths: Path | Sequence[Path], **config: str | bool | int) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouses at `paths` as one database, read-only: each table holds the rows of all, and so the views.

    They may come from a store that others write to, and a file's views can be anything: from here on they reach no file
    and no network, and the configuration is locked. `config`: of DuckDB, besides CONFIG.
    """
    several = [paths] if isinstance(paths, Path) else list(paths)
    settings = {"temp_directory": f"{several[0]}.tmp"} | CONFIG | config
    with (
        duckdb.connect(several[0], read_only=True, config=settings)
        if len(several) == 1
        else _joined(several, settings) as connection
    ):
        connection.execute("set enable_external_access = false")  # after the folder for spilling, which it forbids too
        connection.execute("set lock_configuration = true")
        yield connection


def _joined(paths: Sequence[Path], config: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=dict(config))
    for number, path in enumerate(paths):
        quoted = str(path).replace("'", "''")
        connection.execute(f"attach '{quoted}' as part_{number} (read_only)")
    for table in relations("tables") + relations("derived"):
        parts = " union all by name ".join(f"from part_{number}.{table}" for number in range(len(paths)))
        connection.execute(f"create view {table} as {parts}")
    for file in statements("views"):
        connection.execute(file.read_text())
    return connection


def _load(connection: duckdb.DuckDBPyConnection, table: str, source: ParquetSource) -> None:
    own = SQL / "loads" / f"{table}.sql"
    how = own.read_text() if own.exists() else AS_IT_IS.format(table=table)
    given = {"campaign": source.campaign, "round": source.round, "path": str(source.path)}
    try:
        for statement in duckdb.extract_statements(how):
            connection.execute(statement, {name: given[name] for name in statement.named_parameters})
    except duckdb.Error as error:
        error.add_note(f"while loading {table} of round {source.round} ({source.campaign}) from {source.path}")
        raise


def write_in_words(tables: Mapping[str, Sequence[ParquetSource]], table: str, target: Path) -> None:
    """Writes a lesson's table (a key of IN_WORDS) with the words and token ids of the nodes that it names, as Parquet.

    `tables`: it, and the `nodes`. Rows keep their order. A database is made beside `target`, and removed.
    """
    view, key = IN_WORDS[table]
    rows = (
        f"select whole.* exclude (campaign, round) from {view} as whole "
        f"inner join (select {key}, rowid as place from {table}) using ({key}) order by place"
    )
    made = target.with_suffix(".duckdb")
    build(made, tables)
    try:
        with duckdb.connect(made, read_only=True, config=CONFIG) as connection:
            connection.execute(f"copy ({rows}) to '{target}' (format parquet, compression zstd)")
    finally:
        made.unlink()


def check(path: Path) -> list[Violation]:
    """Runs every query of `sql/checks` against the warehouse at `path`; an empty list means that all rules hold."""
    with duckdb.connect(path, read_only=True, config=CONFIG) as connection:
        found = (_broken(connection, file) for file in statements("checks"))
        return [violation for violation in found if violation is not None]


def _broken(connection: duckdb.DuckDBPyConnection, query: Path) -> Violation | None:
    counted = f"select count(*) over () as violations, * from (\n{query.read_text()}\n) limit {ROWS_SHOWN}"
    answer = _execute(connection, counted)
    if not answer.rows:
        return None
    rows = [
        ", ".join(f"{name}={_short(value)}" for name, value in list(record.items())[1:]) for record in answer.records()
    ]
    return Violation(first_comment(query), query.stem, rows, answer.rows[0][0])


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) and "\n" in value else str(value)
    return text if len(text) <= WIDTH_SHOWN else text[: WIDTH_SHOWN - 1] + "…"


def ask(
    paths: Path | Sequence[Path],
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    most: int | None = None,
) -> Answer:
    """Asks the warehouses at `paths` as one (`opened`): all rows, or the first `most`.

    Raises `duckdb.Error` for SQL that it does not understand, or that would write to the warehouse.
    """
    with opened(paths) as connection:
        return _execute(connection, sql, parameters, most)


def derive(
    query: Path, frames: Mapping[str, "pl.DataFrame"], parameters: Mapping[str, Any], scratch: Path
) -> "pl.DataFrame":
    """The result of a query of `sql/stages` over frames, by the names that it knows them by.

    In the memory that CONFIG gives; what does not fit is spilled to the folder `scratch`.
    """
    import polars as pl  # not in a process that `cpl sql` runs in: its handler of Ctrl-C lets pyarrow read on

    with duckdb.connect(config=CONFIG | {"temp_directory": str(scratch)}) as connection:
        for name, frame in frames.items():
            connection.register(name, frame.to_arrow())
        return pl.DataFrame(connection.sql(query.read_text(), params=parameters).to_arrow_table())


def _execute(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    most: int | None = None,
) -> Answer:
    result = connection.execute(sql, parameters)
    columns = [column[0] for column in result.description or ()]
    return Answer(columns, result.fetchall() if most is None else result.fetchmany(most))

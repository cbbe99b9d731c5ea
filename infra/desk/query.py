"""A user's SQL, asked in a process of its own that can be stopped (`cpl sql`).

The query may come from anybody, an assistant or a file among them. DuckDB opens the warehouse read-only, without files
or network, its configuration locked. It runs one statement, which must ask. The operating system limits time and
memory, for DuckDB's own limit does not count the result. `python -m infra.desk.query` is that process: a JSON request
goes in, an Arrow stream or the text of an error comes out.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import duckdb
import pyarrow as pa

from infra.environment import ROOT
from infra.warehouse import Answer, opened

BATCH = 10_000
GIB = 1 << 30
OUT_OF_MEMORY = 3
ASKS = ("SELECT", "EXPLAIN")
"""What DuckDB's parser calls the statements that only ask; FROM, SHOW, DESCRIBE and SUMMARIZE are SELECTs to it."""

WORDS = re.compile(r""""[^"]*"|'[^']*'|\b(BIT|BIGNUM)\b""")
"""Of a type: names in quotes, and what Arrow has no type for."""


class QueryRefused(ValueError):
    """Not one statement that asks."""


class QueryFailed(RuntimeError):
    """DuckDB refused the query, or it needed more than its limits; the message says which."""


@dataclass(frozen=True)
class Limits:
    """What one query may take. `seconds`: that are waited for it; `gib`: of address space, DuckDB's own memory
    included; `spill_gib`: of disk."""

    seconds: float = 300.0
    gib: float = 6.0
    spill_gib: float = 8.0


@contextmanager
def asked(
    paths: Path | Sequence[Path], sql: str, most: int | None = None, limits: Limits = Limits()
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The answer to `sql` from the warehouses at `paths` while it comes: record batches, the first of which holds
    at least names.

    `most`: rows at most. Leaving the context, by Ctrl-C too, ends the query.

    Raises:
        QueryRefused: for no statement, several, or one that does not ask.
        QueryFailed: at the first batch or a later one.
    """
    statement = one_statement(sql)
    with tempfile.TemporaryDirectory(prefix="cpl-sql-") as spill, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.desk.query"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is this process's to handle: DuckDB may not react to it
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            several = [paths] if isinstance(paths, Path) else paths
            request = {"paths": [*map(str, several)], "sql": statement, "most": most, "spill": spill, **asdict(limits)}
            with process.stdin:
                process.stdin.write(json.dumps(request).encode())
            yield _batches(process, errors, _Patience(process, limits.seconds), limits)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


class _Patience:
    """Ends a process after so many seconds of waiting for it. What its reader does meanwhile does not count."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.process, self.left = process, seconds

    def __enter__(self) -> None:
        self.began, self.timer = time.monotonic(), Timer(self.left, self.process.kill)
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.left = max(0.0, self.left - (time.monotonic() - self.began))


def answers(batches: Iterator[pa.RecordBatch]) -> Iterator[Answer]:
    """Each batch in Python values, as it comes: all rows at once may not fit into memory. A column whose name occurred
    before gets a number.

    Raises:
        QueryFailed: for a value that Python does not know.
    """
    for batch in batches:
        try:
            rows = list(zip(*(_values(column) for column in batch.columns), strict=True))
        except (pa.ArrowException, ValueError, OverflowError) as problem:
            raise QueryFailed(
                f"the answer holds a value that cannot be shown ({problem}): cast it to varchar"
            ) from None
        yield Answer(_unique(batch.schema.names), rows)


def answered(batches: Iterator[pa.RecordBatch]) -> Answer:
    """All batches as one answer."""
    columns: list[str] = []
    rows: list[tuple[Any, ...]] = []
    for columns, more in answers(batches):  # noqa: B007  the first has them, also without rows
        rows += more
    return Answer(columns, rows)


def _unique(names: list[str]) -> list[str]:
    found: list[str] = []
    for place, name in enumerate(names):
        others = {*names, *found} if name in names[:place] else ()
        found.append(
            next(one for one in (name, *(f"{name}_{n}" for n in range(1, len(names) + 1))) if one not in others)
        )
    return found


def _values(column: pa.Array) -> list[Any]:
    """A sum of integers is an integer, which DuckDB hands over as a decimal."""
    values = column.to_pylist()
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        return [None if value is None else int(value) for value in values]
    return values


def one_statement(sql: str) -> str:
    """The text of the one statement in it.

    Raises:
        QueryRefused: with what it should be.
    """
    try:
        found = duckdb.extract_statements(sql)
    except duckdb.Error as problem:
        raise QueryRefused(str(problem)) from None
    if len(found) != 1:
        what = "There is no statement in this query" if not found else f"This query holds {len(found)} statements"
        raise QueryRefused(
            f"{what}: give one, such as `select * from trees limit 5`. `cpl sql --list` shows the tables."
        )
    if (kind := found[0].type.name) not in ASKS:
        raise QueryRefused(
            f"The warehouse is read-only: give a SELECT, FROM, SHOW, DESCRIBE, SUMMARIZE or EXPLAIN, not {kind}."
        )
    return found[0].query


def _batches(
    process: subprocess.Popen[bytes], errors: Any, patience: _Patience, limits: Limits
) -> Iterator[pa.RecordBatch]:
    yield from _received(process, patience)
    with patience:
        status = process.wait()
    if status:
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
        if not patience.left:
            raise QueryFailed(f"The query was stopped after {limits.seconds:g} seconds; --seconds gives it more.")
        if status == OUT_OF_MEMORY or status < 0:
            raise QueryFailed(f"The query needed more than {limits.gib:g} GiB of memory; ask for less at once.")
        raise QueryFailed(said or f"the query's process ended with status {status}")


def _received(process: subprocess.Popen[bytes], patience: _Patience) -> Iterator[pa.RecordBatch]:
    """What comes, until it ends: where that is before it began, or in the middle, the exit status says why."""
    try:
        with patience:
            stream = pa.ipc.open_stream(process.stdout)
        yield pa.RecordBatch.from_pylist([], schema=stream.schema)
        while True:
            with patience:
                batch = stream.read_next_batch()
            yield batch
    except (pa.ArrowInvalid, StopIteration, OSError):
        return
    except pa.ArrowException as problem:
        raise QueryFailed(f"the answer is of a type that cannot be shown ({problem}): cast it to varchar") from None


def _as_text(columns: Sequence[tuple[str, str]]) -> list[str]:
    """What is selected of columns c0, c1 and so on so that bits and numbers of any length are text, for Arrow has their
    bytes alone; nothing where there are neither.

    `columns`: names, and DuckDB's types, in which names stand in quotes.
    """
    texts = [WORDS.sub(lambda found: "VARCHAR" if found[1] else found[0], kind) for _, kind in columns]
    if texts == [kind for _, kind in columns]:
        return []
    casts = ["" if text == kind else f"::{text}" for text, (_, kind) in zip(texts, columns, strict=True)]
    names = [name.replace('"', '""') for name, _ in columns]
    return [f'c{n}{cast} as "{name}"' for n, (cast, name) in enumerate(zip(casts, names, strict=True))]


def _answer(request: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(request["gib"] * GIB),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(2 * request["seconds"]) + 1,) * 2)  # should its parent be killed
    spill = {"temp_directory": request["spill"], "max_temp_directory_size": f"{request['spill_gib']}GiB"}
    with opened([*map(Path, request["paths"])], **spill) as connection:
        result = connection.execute(request["sql"])
        if selected := _as_text([(name, str(kind)) for name, kind, *_ in result.description]):
            result = connection.cursor()  # the other answer is not read
            columns = ", ".join(f"c{n}" for n in range(len(selected)))
            result.execute(f"create temp view asked_for ({columns}) as {request['sql']}")
            result.execute(f"select {', '.join(selected)} from asked_for")
        reader: pa.RecordBatchReader = result.to_arrow_reader(BATCH)
        left = sys.maxsize if request["most"] is None else request["most"]
        with pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as out:
            for batch in reader:
                out.write_batch(batch.slice(0, left))
                if (left := left - batch.num_rows) <= 0:
                    return


if __name__ == "__main__":
    try:
        _answer(json.load(sys.stdin))
    except (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        sys.exit(OUT_OF_MEMORY)
    except (duckdb.Error, pa.ArrowException) as problem:
        sys.exit(str(problem))

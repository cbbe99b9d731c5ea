"""Much work of many small parts: every finished part is kept, so that a retry does only the rest (design D5).

A part is the rows that one item adds to the stage's tables. It is kept as one Arrow file, on this machine and in the
store; the tables are written from these files, a batch at a time, so that memory does not grow with the work, and a
resumed stage writes byte for byte what an uninterrupted one would.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from tasks.records import frame
from tasks.step import Progress, Stage

Item = TypeVar("Item")

MAX_FAILED_SHARE = 0.1
"""A stage with more failed parts than this is not committed: its failures are no longer a few lost questions."""

BATCH = 256
"""Parts whose rows are in memory at once while a table is written: one row group of its Parquet file."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows by table. With an `error` it failed: it is in the tables like the others, but a retry tries it again."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    error: str | None = None


class TooManyFailures(RuntimeError):
    """So many parts failed that the stage is not worth keeping; finished parts stay for the retry."""


async def each_part(
    stage: Stage,
    items: Mapping[str, Item],
    work: Callable[[Item, int], Awaitable[Part]],
    *,
    what: str,
    note: Callable[[], str] = lambda: "",
) -> None:
    """Does `work(item, place)` for every item and writes the tables that the parts belong to, in the order of items.

    All items are begun at once: what bounds the work is the engine's admission, where a lower `place` goes first.
    `note`: what to say beside the progress.

    Raises:
        TooManyFailures: when more than a tenth of the parts failed.
        Exception: what `work`, the store or Prefect's server failed with first; the parts under way are given up.
    """
    folder = stage.folder / "parts"
    kept = await asyncio.to_thread(_fetch, stage, folder, items.keys())
    if kept:
        stage.log.info("%s: %d of %d were finished before and are kept", what, len(kept), len(items))
    progress = Progress(stage, what, total=len(items))
    done = len(kept)
    failures: list[str] = []

    async def one(name: str, item: Item, place: int) -> None:
        nonlocal done
        part = await work(item, place)
        data = _packed(part)
        await asyncio.to_thread(_write, folder / name, data)
        if part.error is None:
            await asyncio.to_thread(stage.keep_part, name, data)
        else:
            failures.append(part.error)
        done += 1
        await asyncio.to_thread(progress.show, done, note())

    try:
        async with asyncio.TaskGroup() as group:
            for place, (name, item) in enumerate(items.items()):
                if name not in kept:
                    group.create_task(one(name, item, place))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # a user reads why, not "unhandled errors in a TaskGroup"

    stage.facts["failed_parts"] = len(failures)
    if len(failures) > MAX_FAILED_SHARE * len(items):
        raise TooManyFailures(
            f"{what}: {len(failures)} of {len(items)} failed, the last with: {failures[-1]}. "
            "What finished is kept; retry the flow run when the cause is gone."
        )
    paths = [folder / name for name in items]
    tables = pl.read_ipc_schema(paths[0]) if paths else {}
    for table in tables:
        await asyncio.to_thread(stage.write, table, _batches(table, paths))


def _packed(part: Part) -> bytes:
    """One row with one list of structs a table."""
    columns = [frame(table, rows).to_struct(table).implode() for table, rows in part.rows.items()]
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_ipc(buffer, compression="zstd")
    return buffer.getvalue()


def _batches(table: str, paths: Sequence[Path]) -> Iterator[pl.DataFrame]:
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        rows = pl.concat([pl.read_ipc(path, columns=[table]) for path in batch])
        yield rows.filter(pl.col(table).list.len() > 0).explode(table).unnest(table)


def _fetch(stage: Stage, folder: Path, names: Collection[str]) -> set[str]:
    """The parts that an earlier attempt kept, on any machine, now on this one."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = set()
    for name, data in stage.parts():
        if name in names:
            _write(folder / name, data)
            kept.add(name)
    return kept


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

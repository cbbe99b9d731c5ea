"""Work in many small parts: every finished part is kept, and a retry does the rest (design D5).

A part is the rows that one item adds to the stage's tables, in Arrow. Those that were finished in the same second are
kept together: in the store, and in a file of this machine that ends with the stage. The tables are written from it, a
batch at a time: memory does not grow with the work. A resumed stage writes the same bytes as an uninterrupted one.

An item that fails is tried once more, after the others. If it fails again, it is lost, and a note of the stage names
it. A kept part says which code made it. A part of another version of the code is used, and a note says so; a part that
this code cannot read is made again.
"""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

import polars as pl
import pyarrow as pa

from tasks.records import TABLES, structs
from tasks.running.progress import Progress
from tasks.running.workplace import Workplace

Item = TypeVar("Item")

MAX_FAILED_SHARE = 0.1
"""A stage with more failed parts than this is not committed: its failures are no longer a few lost questions."""

BATCH = 256
"""Parts whose rows are in memory at once while a table is written: one row group of its Parquet file."""

KEEP_SECONDS = 1.0
"""So long a finished part waits for others, to be kept with them; a kill takes what waits."""

SHOW_SECONDS = 0.5
"""So long the shown progress stands still, at least."""

CODE = "code"
"""The column of a part that is no table: the version of the code that made it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows by table. With an `error` it failed: it is in the tables like the others, but it is tried again."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    error: str | None = None


class TooManyFailures(RuntimeError):
    """So many parts failed that the stage is not worth keeping; finished parts stay for the retry."""


async def each_part(
    workplace: Workplace,
    items: Mapping[str, Item],
    work: Callable[[Item, int], Awaitable[Part]],
    *,
    what: str,
    note: Callable[[], str] = lambda: "",
) -> None:
    """Does `work(item, place)` for every item and writes the tables that the parts belong to, in the order of items.

    All items are begun at once: what bounds the work is the engine's admission, where a lower `place` goes first.
    `note`: what to say beside the progress. An item whose work returns an error or raises is lost, if it does so twice:
    `failed_parts` and `notes` of the stage's facts tell it. One that raises has no rows.

    Raises:
        TooManyFailures: when more than a tenth of the parts failed.
        Exception: what the store or Prefect's server failed with first; the parts under way are given up.
    """
    with tempfile.TemporaryFile(dir=workplace.folder) as file:
        parts = Parts(workplace, what, PartsFile(file))
        await asyncio.to_thread(parts.fetch, items.keys())
        places = {name: place for place, name in enumerate(items)}

        async def all_of(names: Iterable[str]) -> None:
            await parts.make({name: partial(work, items[name], places[name]) for name in names})

        async with _shown(
            lambda: Progress(workplace.log, what, total=len(items)), lambda: (len(parts.made), note()), parts.moved
        ):
            await all_of(name for name in items if name not in parts.made)
            again = parts.lost.keys() | parts.strangers()
            if names := [name for name in items if name in again]:
                workplace.log.info("%s: %d are tried once more, %s", what, len(names), ", ".join(names[:3]))
                parts.lost.clear()
                await all_of(names)

        lost = {name: parts.lost[name] for name in items if name in parts.lost}
        workplace.facts["failed_parts"] = len(lost)
        if len(lost) > MAX_FAILED_SHARE * len(items):
            name, why = next(reversed(lost.items()))
            raise TooManyFailures(
                f"{what}: {len(lost)} of {len(items)} failed, and did when tried once more; the last, {name}, with: "
                f"{why}. What finished is kept; retry the flow run when the cause is gone."
            )
        codes = Counter(part.code for part in parts.made.values())
        workplace.facts["notes"] = [
            *workplace.facts.get("notes", []),
            *_notes(what, len(items), lost, codes, workplace.code),
        ]
        done = [name for name in items if name in parts.made]
        tables = parts.made[done[0]].tables if done else ()
        for table in tables:
            await asyncio.to_thread(workplace.write, table, _batches(table, parts.file, done))


def rows_kept(workplace: Workplace, names: Collection[str], table: str) -> dict[str, int]:
    """How many rows of a table the parts hold that an earlier attempt kept and that this code can use."""
    counts = {}
    for name, data in workplace.parts():
        with suppress(ValueError):
            if name in names and table in _unpacked(data).tables:
                counts[name] = int(opened(data, [table])[table].list.len().item())
    return counts


class PartsFile:
    """Parts by name, one behind the other in a file: a file for each would take as long as what is in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.spans: dict[str, tuple[int, int]] = {}

    def add(self, parts: Mapping[str, bytes]) -> None:
        """Adds parts; of one that is made again, the later counts."""
        start = self.file.seek(0, os.SEEK_END)
        for name, data in parts.items():
            self.spans[name] = start, len(data)
            start += self.file.write(data)
        self.file.flush()

    def read(self, name: str) -> bytes:
        start, length = self.spans[name]
        self.file.seek(start)
        return self.file.read(length)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a part without its rows."""

    code: str
    tables: tuple[str, ...]


class Parts:
    """The parts of a stage: made, lost, and not kept yet."""

    def __init__(self, workplace: Workplace, what: str, file: PartsFile) -> None:
        self.workplace, self.what, self.file = workplace, what, file
        self.made: dict[str, Kept] = {}
        self.lost: dict[str, str] = {}
        """Why an item failed when it was last tried."""
        self.waiting: dict[str, bytes] = {}
        """Made, and to be kept with the next."""
        self.moved = asyncio.Event()

    def fetch(self, names: Collection[str]) -> None:
        """Copies to this machine the parts that an earlier attempt kept, if this code can use them."""
        for name, data in self.workplace.parts():
            if name not in names:
                continue
            try:
                self.made[name] = _unpacked(data)
            except ValueError as problem:
                self.workplace.log.warning(
                    "%s: the part %s that was kept is not this code's, %s: it is done again",
                    *(self.what, name, problem),
                    extra={"question_id": name},
                )
                continue
            self.file.add({name: data})
        if self.made:
            self.workplace.log.info(
                "%s: %d of %d were finished before and are kept", self.what, len(self.made), len(names)
            )
        self._count()

    def strangers(self) -> set[str]:
        """Kept parts that have other tables than those of this code."""
        own = next((part.tables for part in self.made.values() if part.code == self.workplace.code), None)
        return {name for name, part in self.made.items() if own is not None and part.tables != own}

    async def make(self, works: Mapping[str, Callable[[], Awaitable[Part]]]) -> None:
        """Makes the part of each name, all at once, and keeps them.

        Raises:
            Exception: what the store failed with first; what is made by then is kept, if it takes that.
        """
        try:
            await _together([self._make(name, work) for name, work in works.items()], self._keep)
            await self._keep()  # what came while the last bundle was on its way
        except BaseException:
            with suppress(Exception):  # a store that failed was the reason, or is asked once more
                self._save(self.waiting)
            raise

    async def _make(self, name: str, work: Callable[[], Awaitable[Part]]) -> None:
        log = self.workplace.log
        try:
            part = await work()
            data = _packed(part, self.workplace.code)
        except Exception as problem:
            log.warning("%s: %s failed", self.what, name, exc_info=True, extra={"question_id": name})
            self.lost[name] = f"{type(problem).__name__}: {problem}"
            return
        self.waiting[name] = data
        if part.error is not None:
            log.warning("%s: %s is lost: %s", self.what, name, part.error, extra={"question_id": name})
            self.lost[name] = part.error
        self.made[name] = Kept(self.workplace.code, tuple(part.rows))
        self._count()
        self.moved.set()

    def _count(self) -> None:
        self.workplace.timeline.add("parts", done=len(self.made))

    async def _keep(self) -> None:
        taken, self.waiting = self.waiting, {}
        try:
            if taken:
                await asyncio.to_thread(self._save, taken)
                await asyncio.to_thread(self.file.add, taken)
        except BaseException:
            self.waiting = taken | self.waiting
            raise

    def _save(self, parts: Mapping[str, bytes]) -> None:
        """Keeps them in the store, but for those that are lost: a retry does these again."""
        if sound := {name: data for name, data in parts.items() if name not in self.lost}:
            self.workplace.keep_parts(sound)


@asynccontextmanager
async def _shown(
    begin: Callable[[], Progress], state: Callable[[], tuple[int, str]], moved: asyncio.Event
) -> AsyncIterator[None]:
    """Shows how far the work is whenever it has moved, beside it: while Prefect's server is away, a bar takes half a
    minute to fail, for which nothing waits but the end."""
    over = asyncio.Event()

    async def show() -> None:
        progress, shown = await asyncio.to_thread(begin), 0
        while True:
            await moved.wait()
            moved.clear()
            is_last = over.is_set()
            if (now := state())[0] != shown:
                shown = now[0]
                await asyncio.to_thread(progress.show, *now)
            if is_last:
                return
            await _wait_at_most(SHOW_SECONDS, over)

    showing = asyncio.create_task(show())
    try:
        yield
        over.set()
        moved.set()
        await showing
    finally:
        showing.cancel()
        await asyncio.wait([showing])


async def _together(work: Sequence[Coroutine[Any, Any, None]], keep: Callable[[], Awaitable[None]]) -> None:
    """All of the work at once, and `keep` now and then."""

    done = asyncio.Event()

    async def keep_on() -> None:
        while not done.is_set():
            await _wait_at_most(KEEP_SECONDS, done)
            await keep()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_on())
            if tasks := [group.create_task(one) for one in work]:
                await asyncio.wait(tasks)
            done.set()  # what is on its way to the store is waited for
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # a user reads why, not "unhandled errors in a TaskGroup"


async def _wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Waits for the event, or so long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _notes(what: str, items: int, lost: Mapping[str, str], codes: Mapping[str, int], code: str) -> Iterator[str]:
    """What a reader of the round should know of its parts."""
    if lost:
        named = "; ".join(f"{name} ({why[:200]})" for name, why in list(lost.items())[:3])
        more = f"; and {len(lost) - 3} more" if len(lost) > 3 else ""
        yield f"{what}: {len(lost)} of {items} were lost, though tried twice: {named}{more}."
    for other, parts in codes.items():
        if other != code:
            yield f"{what}: {parts} of {items} were made before by other code ({other}), the others by {code}."


def _packed(part: Part, code: str) -> bytes:
    """One row: a list of structs for each table, and the code's version."""
    lists = {
        table: pa.LargeListArray.from_arrays([0, len(rows)], structs(table, rows)) for table, rows in part.rows.items()
    }
    batch = pa.RecordBatch.from_pydict({CODE: pa.array([code], pa.large_string()), **lists})
    kept = pa.BufferOutputStream()
    # As a whole: Arrow would compress each of some forty buffers by itself, which takes four times as long.
    with pa.CompressedOutputStream(kept, "zstd") as stream, pa.ipc.new_file(stream, batch.schema) as file:
        file.write_batch(batch)
    return kept.getvalue().to_pybytes()


def opened(part: bytes, tables: list[str] | None = None) -> pl.DataFrame:
    """A kept part as a frame of one row: a list of structs for each table, or for some of them.

    Raises:
        Exception: where it is no part, whatever Arrow and polars find wrong with it.
    """
    with pa.input_stream(pa.py_buffer(part), compression="zstd") as stream:
        return pl.read_ipc(stream.read(), columns=tables)


def _unpacked(data: bytes) -> Kept:
    """What a part holds.

    Raises:
        ValueError: where it is not what this code would have made.
    """
    try:
        part = opened(data)
    except (Exception, pl.exceptions.PanicException) as problem:
        raise ValueError(f"it cannot be read: {problem}") from None
    tables = [name for name in part.columns if name != CODE]
    expected = {table: pl.List(pl.Struct(TABLES[table])) for table in tables if table in TABLES}
    if part.height != 1 or part.schema != {CODE: pl.String(), **expected}:
        raise ValueError("its columns are others")
    return Kept(part[CODE].item(), tuple(tables))


def _batches(table: str, kept: PartsFile, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    for start in range(0, len(names), BATCH):
        rows = pl.concat([opened(kept.read(name), [table]) for name in names[start : start + BATCH]])
        yield rows.explode(table).unnest(table)

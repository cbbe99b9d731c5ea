"""What a stage of the round is: a Prefect task that turns references into a committed stage (design D5, D6).

    @stage("questions", version=4)
    def sample_questions(workplace: Workplace, round: int, content: str, settings: Questions) -> int: ...

Called in a flow without `workplace`, it returns the stage's `Ref`. The cache key is the stage's name, its version and
the digests of its inputs. So equal work is done once, across runs, rounds and campaigns. The manifest in the store is
the only cache. It is written last: a killed stage leaves nothing that counts. Its retry goes on from the kept parts and
the work folder. When two runs of a machine need the same stage, the second waits for the first and finds it done.
"""

import functools
import hashlib
import importlib.metadata
import inspect
import itertools
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec

import httpx
import polars as pl
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from infra.contract.disk import room_in
from infra.environment import environment
from infra.file_locks import locked, remote_kind
from infra.store import Damaged, Manifest, Ref, Store, StoredObject
from infra.store.s3 import StoreDown

P = ParamSpec("P")
Log = logging.Logger | logging.LoggerAdapter[Any]
PAUSES = [15.0, 60.0]
"""Seconds before each further attempt at a stage that the store or Prefect's server failed."""


class Workplace:
    """Where one stage writes: a work folder on this machine, and a prefix in the store that the manifest commits."""

    def __init__(self, name: str, key: str, store: Store, log: Log) -> None:
        self.name = name
        self.key = key
        self.store = store
        self.log = log
        self.run_id = str(flow_run.id or "")
        self.code = code_version()
        self.facts: dict[str, Any] = {}
        self.objects: list[StoredObject] = []
        self.files: dict[Path, StoredObject] = {}
        self.prefix = f"stages/{name}/{key}"
        self.folder = environment().home.absolute() / "work" / name / key

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The work folder to itself, once no other process of this machine works there.

        A killed process frees the folder. A trainer that outlives its flow keeps it until the trainer ends.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if kind := remote_kind(self.folder.parent):
            self.log.warning(
                "%s lies on %s, whose locks do not keep a trainer and its retry apart: put CPL_HOME on a local disk",
                *(self.folder.parent, kind),
            )
        owner = f"flow run {flow_run.id}" if flow_run.id else ""
        with locked(
            self.folder.with_suffix(".lock"), f"{owner} or a trainer that outlived it", self.log.info
        ) as self.lock:
            self.folder.mkdir(exist_ok=True)
            yield

    def clear(self) -> None:
        """Removes what is needed no more of a committed stage: the parts, and what lies on this machine.

        Files that the stage consists of stay as copies in the cache, where the next stage finds them.
        """
        self.drop_parts()
        for path, item in self.files.items():
            self.store.cache.keep(path, item)
        shutil.rmtree(self.folder)
        Path(self.lock.name).unlink(missing_ok=True)

    def write(self, table: str, rows: pl.DataFrame | Iterable[pl.DataFrame]) -> None:
        """Adds a table to the stage, as Parquet (zstd): a frame, or several, each of which becomes a row group."""
        path = self.folder / f"{table}.parquet"
        height = 0
        frames = [rows] if isinstance(rows, pl.DataFrame) else rows
        groups = (frame.to_arrow(compat_level=pl.CompatLevel.oldest()) for frame in frames)
        first = next(groups)
        try:
            with pq.ParquetWriter(path, first.schema, compression="zstd") as file:
                for group in itertools.chain([first], groups):
                    file.write_table(group)
                    height += group.num_rows
        except OSError as problem:
            raise OSError(f"cannot write {table} to {path}: {problem}") from problem
        self.add(path.name, path, rows=height)

    def add(self, name: str, data: bytes | Path, rows: int | None = None) -> None:
        """Adds an object to the stage."""
        item = self.store.add(name, data, rows)
        self.objects.append(item)
        if isinstance(data, Path):
            self.files[data] = item

    def keep_part(self, name: str, data: bytes) -> None:
        """Keeps a finished part of unfinished work where a retry on any machine finds it."""
        self.store.put(f"{self.prefix}/parts/{name}", data)

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """The parts that an earlier attempt kept: name and content. A damaged one is left out, and so done again."""
        start = f"{self.prefix}/parts/"
        for name in self.store.names(start):
            try:
                yield name.removeprefix(start), self.store.get(name)
            except Damaged as problem:
                self.log.warning("a part is done again: %s", problem)

    def drop_parts(self) -> None:
        """Parts are needed no more, or not to be trusted."""
        self.store.delete(self.store.names(f"{self.prefix}/parts/"))

    def written(self, table: str) -> pl.DataFrame:
        """A table that this stage wrote."""
        return pl.read_parquet(self.folder / f"{table}.parquet")

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        """A table of an earlier stage, its digest verified."""
        return pl.read_parquet(self.store.fetch(ref, f"{table}.parquet"))

    def groups(self, ref: Ref, table: str) -> Iterator[pl.DataFrame]:
        """A table of an earlier stage, row group by row group, for a table that is larger than memory."""
        with pq.ParquetFile(self.store.fetch(ref, f"{table}.parquet")) as file:
            for number in range(file.num_row_groups):
                yield pl.DataFrame(file.read_row_group(number))

    def commit(self, version: int, given: Mapping[str, Any], rows: int, seconds: float) -> Ref:
        """Makes what was added count: the manifest, written last."""
        manifest = Manifest(
            stage=self.name,
            version=version,
            key=self.key,
            created_at=datetime.now(UTC),
            seconds=seconds,
            run_id=self.run_id,
            code=self.code,
            config={k: to_jsonable_python(v) for k, v in given.items() if not _refs(v)},
            inputs={f"{k}{suffix}": ref for k, v in given.items() for suffix, ref in _refs(v).items()},
            objects=self.objects,
            facts={**self.facts, "rows": rows},
        )
        return self.store.commit(manifest)


@dataclass(frozen=True)
class Stage(Generic[P]):
    """A stage of the round: `(inputs…) -> Ref` in a flow; `body` is the function itself, for a test or a benchmark.

    Inputs are `Ref`s, settings, JSON values, or lists and dicts of these; they must not hold sets, whose order
    differs between processes.
    """

    name: str
    version: int
    """Part of the key: it rises when the stage's output would change for the same input."""
    body: Callable[Concatenate[Workplace, P], int]
    """Fills a stage and returns the rows of its main table."""
    layout: Collection[str] = ()
    """Inputs that are no part of the key: they lay out the work and do not change its result, as the number of shards.
    """
    task_run_name: str | None = None
    """In the UI, e.g. "evaluate-{name}" with the inputs' names; default: the stage's name and a number."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Ref:
        given = self._given(*args, **kwargs)
        run = _run.with_options(name=self.name)
        if self.task_run_name is not None:
            title = self.task_run_name.format(**given)
            run = run.with_options(task_run_name=lambda: title)
        done = run(self, given)
        return done.result() if isinstance(done, State) else done

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The cache key of the stage that these inputs make."""
        return self._key(self._given(*args, **kwargs))

    def find(self, store: Store, *args: P.args, **kwargs: P.kwargs) -> Ref | None:
        """The stage that these inputs made, if it is in the store."""
        return store.find(f"stages/{self.name}/{self.key(*args, **kwargs)}")

    def run(self, given: dict[str, Any], store: Store, log: Log) -> tuple[Ref, bool]:
        """Does the work, unless the store holds its stage; says which."""
        workplace = Workplace(self.name, self._key(given), store, log)
        with workplace.alone():
            ref = store.find(workplace.prefix, log.warning)
            is_done = ref is not None
            if ref is None:
                started = time.monotonic()
                with room_in(workplace.folder):
                    rows = self.body(workplace, **given)  # type: ignore[call-arg] # `given` was bound to its parameters
                ref = workplace.commit(self.version, given, rows, time.monotonic() - started)
            workplace.clear()
        return ref, is_done

    def _given(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The inputs by name, with the defaults of those that were not given."""
        bound = inspect.signature(self.body).bind(None, *args, **kwargs)
        bound.apply_defaults()
        return dict(list(bound.arguments.items())[1:])

    def _key(self, given: dict[str, Any]) -> str:
        return cache_key(self.name, self.version, {k: v for k, v in given.items() if k not in self.layout})


def stage(
    name: str, version: int, layout: Collection[str] = (), task_run_name: str | None = None
) -> Callable[[Callable[Concatenate[Workplace, P], int]], Stage[P]]:
    """Makes a `Stage` of a function `(workplace, inputs…) -> rows`."""

    def decorate(body: Callable[Concatenate[Workplace, P], int]) -> Stage[P]:
        return Stage(name, version, body, layout, task_run_name)

    return decorate


def _may_pass(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether a stage failed for want of the store or of Prefect's server, which may be back in a minute."""
    return isinstance(state.result(raise_on_failure=False), (StoreDown, httpx.HTTPError))


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=len(PAUSES),
    retry_delay_seconds=PAUSES,
    retry_condition_fn=_may_pass,
)
def _run(stage: Stage[Any], given: dict[str, Any]) -> Ref | State[Ref]:
    """The Prefect task of every stage. Prefect keeps nothing of it: the stage's manifest says whether it is done."""
    log = get_run_logger()
    ref, is_done = stage.run(given, Store.open(environment()), log)
    if is_done:
        log.info("%s was done before: %s", stage.name, ref.uri)
        return Completed(name="Cached", message=f"done before: {ref.uri}", data=ref)
    return ref


@functools.cache
def code_version() -> str:
    """The package's version and, in a checkout, its git revision (marked where files were changed since)."""
    version = importlib.metadata.version("cpl-factory")
    describe = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return f"{version}+{subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()}"
    except (OSError, subprocess.CalledProcessError):
        return version


def cache_key(name: str, version: int, given: dict[str, Any]) -> str:
    """Digest of a stage's identity and of all that it is given; a `Ref` counts by its digest, not by its place."""
    document = [name, version, {key: _identity(value) for key, value in given.items()}]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _identity(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.sha256
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _identity(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_identity(item) for item in value]
    return value


def _refs(value: Any) -> dict[str, Ref]:
    """The references in an argument: itself, or those of a dict by name."""
    if isinstance(value, Ref):
        return {"": value}
    if isinstance(value, dict):
        return {f".{key}": item for key, item in value.items() if isinstance(item, Ref)}
    return {}

"""Where a stage writes: a work folder here, and a place in the store that a manifest commits (design D5, D6)."""

import functools
import importlib.metadata
import io
import itertools
import logging
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from prefect.runtime import flow_run
from pydantic_core import to_jsonable_python

from infra.environment import environment
from infra.file_locks import locked, remote_kind
from infra.store import Damaged, Manifest, Ref, Store, StoredObject
from tasks.running.timeline import Timeline

Log = logging.Logger | logging.LoggerAdapter[Any]

BUNDLE = pl.Schema({"name": pl.String(), "part": pl.Binary()})
"""Parts that are kept together."""


class Workplace:
    """Where one stage writes, until `commit` makes it count."""

    def __init__(self, name: str, key: str, store: Store, log: Log) -> None:
        self.name = name
        self.key = key
        self.store = store
        self.log = log
        self.run_id = str(flow_run.id or "")
        self.code = code_version()
        self.timeline = Timeline()
        self.gpus = 0
        """That the stage holds on this machine, from its beginning to its end."""
        self.gpu_seconds_elsewhere = 0.0
        """That other machines spent on it."""
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

    def keep_parts(self, parts: Mapping[str, bytes]) -> None:
        """Keeps finished parts of unfinished work, name and content, where a retry on any machine finds them."""
        # By time: of a part that was made again, the later one is read.
        self.store.put(f"{self.prefix}/parts/{time.time_ns():020}-{uuid.uuid4().hex}", bundle(parts))

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """The parts that an earlier attempt kept: name and content. Damaged ones are left out, and so done again."""
        for name in self.store.names(f"{self.prefix}/parts/"):
            try:
                data = self.store.get(name)
            except Damaged as problem:
                self.log.warning("parts are done again: %s", problem)
                continue
            try:
                several = pl.read_ipc(io.BytesIO(data))
                if several.schema != BUNDLE:
                    raise ValueError(f"{name} holds no parts")
            except (Exception, pl.exceptions.PanicException) as problem:
                self.log.warning("parts are done again: %s", problem)
                continue
            yield from several.iter_rows()

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
            gpu_seconds=self.gpus * seconds + self.gpu_seconds_elsewhere,
            timeline=self.timeline.series,
            run_id=self.run_id,
            code=self.code,
            config={k: to_jsonable_python(v) for k, v in given.items() if not references(v)},
            inputs=references(given),
            objects=self.objects,
            facts={**self.facts, "rows": rows},
        )
        return self.store.commit(manifest)


def bundle(parts: Mapping[str, bytes]) -> bytes:
    """Parts as one object: name and content."""
    buffer = io.BytesIO()
    pl.DataFrame([*parts.items()], schema=BUNDLE, orient="row").write_ipc(buffer)
    return buffer.getvalue()


@functools.cache
def code_version() -> str:
    """The package's version and, in a checkout, its git revision (marked where files were changed since)."""
    version = importlib.metadata.version("cpl-factory")
    describe = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return f"{version}+{subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()}"
    except (OSError, subprocess.CalledProcessError):
        return version


def references(value: Any, place: str = "") -> dict[str, Ref]:
    """All stages in what a stage is given, by where each stands in it: "policy", "trees.tries", "parts.0"."""
    if isinstance(value, Ref):
        return {place: value}
    inner = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    within = f"{place}." if place else ""
    return {name: ref for key, one in inner for name, ref in references(one, f"{within}{key}").items()}

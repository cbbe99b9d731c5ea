"""The stage `search` without engine, store and Prefect: the product's own driver, parts and tables."""

import hashlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import psutil

from infra.store import Ref
from tasks.records import frame
from tasks.running.served import ServedPolicy
from tasks.running.timeline import Timeline
from tasks.running.workplace import Workplace
from tasks.settings import Search
from tasks.stages.search import search
from tests.bench.script import Script


class FolderStage(Workplace):
    """A stage that keeps everything below a folder and watches this process's memory: `growth` in bytes at most."""

    def __init__(self, folder: Path, trees: int, most: float) -> None:
        self.name, self.key, self.code, self.run_id, self.prefix = "search", "bench", "", "", "search"
        self.log = logging.getLogger(__name__)
        self.facts: dict[str, Any] = {}
        self.timeline = Timeline()
        self.objects = []
        self.folder = folder
        self.trees = trees
        (folder / "store").mkdir(parents=True, exist_ok=True)
        self.most = most
        self.kept = 0
        self.peak = self.when_grown = 0
        self._start = psutil.Process().memory_info().rss

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        if table == "questions":
            return pl.DataFrame(
                {
                    "question_id": [f"question-{number}" for number in range(self.trees)],
                    "question": [str(number) for number in range(self.trees)],
                    "answer": "1",
                    "source": "micro",
                    "option": None,
                    "is_exact": True,
                    "is_held_out": False,
                }
            )
        return frame(table, [])

    def keep_parts(self, parts: Mapping[str, bytes]) -> None:
        for name, data in parts.items():
            (self.folder / "store" / name).write_bytes(data)
        self.kept += len(parts)
        self.watch()
        self.when_grown = self.peak

    def parts(self) -> Iterator[tuple[str, bytes]]:
        for path in (self.folder / "store").iterdir():
            yield path.name, path.read_bytes()

    def add(self, name: str, data: bytes | Path, rows: int | None = None) -> None:
        self.watch()

    def watch(self) -> None:
        """Notes how far memory has grown. Raises MemoryError beyond `most`, before the machine is full."""
        self.peak = max(self.peak, psutil.Process().memory_info().rss - self._start)
        if self.peak > self.most:
            raise MemoryError(f"grew by {self.peak >> 20} MiB after {self.kept} trees")

    def digest(self, table: str) -> str | None:
        """Of a written table's file."""
        path = self.folder / f"{table}.parquet"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def search_stage(workplace: FolderStage, script: Script, settings: Search) -> None:
    """The body of the stage `search`, with the script in the engine's place."""
    nothing = Ref(uri="s3://none/manifest.json", sha256="0" * 64, rows=0)
    with ExitStack() as patched:
        patched.enter_context(patch("tasks.stages.search.serve_both", lambda *_: _serve(script)))
        patched.enter_context(patch("tasks.stages.search.SearchPolicy", lambda *_: script))
        patched.enter_context(patch("tasks.running.parts.Progress"))
        search.body(workplace, nothing, nothing, "search", settings)


class _Numbers:
    """Knows a question by its number, which is its prompt."""

    def question(self, text: str) -> list[int]:
        return [int(text)]

    def encode(self, text: str) -> list[int]:
        return []


class _Engine:
    async def version(self) -> str:
        return "scripted"


class _Scripted(ServedPolicy):
    def __init__(self) -> None:
        self.prompts: Any = _Numbers()
        self.engine: Any = _Engine()

    def account(self) -> str:
        return ""

    def use(self, stage: str, questions: int) -> pl.DataFrame:
        return frame("engine_use", [])


@asynccontextmanager
async def _serve(script: Script) -> AsyncIterator[tuple[ServedPolicy, None]]:
    script.open()
    yield _Scripted(), None

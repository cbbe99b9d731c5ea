"""A stage without a store and a Prefect server: what it keeps lies in a folder. Run as a program it searches.

python -m tests.tasks.running.local_stage FOLDER      grows 40 scripted trees in parts and writes their tables
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.running import parts
from tasks.running.parts import Part, each_part
from tasks.running.timeline import Timeline
from tasks.running.workplace import Log, Workplace
from tasks.search.grow import Task, grow
from tasks.settings import Search
from tests.tasks.search.scripted import ScriptedPolicy, is_even


class LocalStage(Workplace):
    """Keeps parts below `folder`/kept, each in so many seconds; its tables are the Parquet files in `folder`."""

    def __init__(self, folder: Path, seconds: float = 0.0, code: str = "this code") -> None:
        self.seconds = seconds
        self.folder = folder
        self.kept = folder / "kept"
        self.facts = {}
        self.timeline = Timeline()
        self.code = code
        self.log = logging.getLogger("stage")
        self.folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, data: bytes | Path, rows: int | None = None) -> None:
        pass

    def keep_parts(self, parts: Mapping[str, bytes]) -> None:
        """Each at once or not at all, as an object store does it."""
        for name, data in parts.items():
            path = self.kept / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".part").write_bytes(data)
            time.sleep(self.seconds)
            os.replace(path.with_suffix(".part"), path)

    def parts(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self.kept.rglob("*")):
            if path.is_file() and path.suffix != ".part":
                yield path.relative_to(self.kept).as_posix(), path.read_bytes()


class Silent:
    """A progress bar that nobody watches."""

    def __init__(self, log: Log, what: str, total: int) -> None:
        pass

    def show(self, done: int, note: str = "") -> bool:
        return False


def search(folder: Path, trees: int = 40, seconds: float = 0.0) -> None:
    """The stage *search* with a scripted policy; the last tree's request fails for good."""
    parts.Progress = Silent  # type: ignore[assignment,attr-defined]
    parts.KEEP_SECONDS = 0.01
    settings = Search(simulations=60)

    async def work(number: int, place: int) -> Part:
        policy = ScriptedPolicy(fails_at=3 if number == trees - 1 else None)
        task = Task(f"q/{number}", "How many?", (5, number), is_even, settings.simulations, priority=place)
        grown = await grow(task, policy, settings)
        return Part({"trees": grown.tree_rows, "nodes": grown.node_rows}, grown.tree_rows[0]["error"])

    questions = {f"q/{number}": number for number in range(trees)}
    asyncio.run(each_part(LocalStage(folder, seconds), questions, work, what="Search"))


if __name__ == "__main__":
    search(Path(sys.argv[1]), seconds=0.05)

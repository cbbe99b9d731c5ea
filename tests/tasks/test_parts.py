"""Work in parts: killed at any point and resumed, it gives the tables of the uninterrupted run, byte for byte."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from infra.s3 import StoreError
from tasks import parts
from tasks.parts import Part, TooManyFailures, each_part
from tests.tasks.local_stage import LocalStage, Silent, search

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted search."""
    folder = tmp_path_factory.mktemp("whole")
    search(folder)
    return folder


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "Progress", Silent)


def test_the_tables_hold_every_question_in_order_and_mark_the_failed_one(whole: Path) -> None:
    trees = pl.read_parquet(whole / "trees.parquet")
    assert trees["tree_id"].to_list() == [f"q/{number}" for number in range(40)]
    assert trees.filter(pl.col("state") == "failed")["tree_id"].to_list() == ["q/39"]
    assert (
        pl.read_parquet(whole / "nodes.parquet")["tree_id"].unique(maintain_order=True).to_list()
        == trees["tree_id"].to_list()
    )


@pytest.mark.parametrize("after", [1, 13, 30])
def test_killed_and_resumed_the_tables_are_the_same_bytes(whole: Path, tmp_path: Path, after: int) -> None:
    """SIGKILL of the process once so many parts are kept."""
    process = subprocess.Popen([sys.executable, "-m", "tests.tasks.local_stage", str(tmp_path)], cwd=ROOT)
    while len(list((tmp_path / "kept").rglob("*"))) <= after and process.poll() is None:
        time.sleep(random.random() / 1000)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    search(tmp_path)
    for table in ("trees", "nodes"):
        assert (tmp_path / f"{table}.parquet").read_bytes() == (whole / f"{table}.parquet").read_bytes()


def test_a_kept_part_is_not_done_again_and_a_failed_one_is(tmp_path: Path) -> None:
    done: list[str] = []

    async def work(name: str, place: int) -> Part:
        done.append(name)
        row = {"step": name, "name": name, "uri": "", "size": place, "sha256": "", "rows": None}
        return Part({"artifacts": [row]}, "lost" if name == "b" and len(done) < 12 else None)

    stage = LocalStage(tmp_path)
    items = {name: name for name in "abcdefghijkl"}
    asyncio.run(each_part(stage, items, work, what="Work"))
    assert (sorted(done), stage.facts["failed_parts"]) == (sorted(items), 1)
    asyncio.run(each_part(stage, items, work, what="Work"))
    assert (done[12:], stage.facts["failed_parts"]) == (["b"], 0)
    assert stage.written("artifacts")["name"].to_list() == list(items)


def test_more_than_a_few_failures_are_not_committed_and_the_message_says_why(tmp_path: Path) -> None:
    async def work(name: str, place: int) -> Part:
        return Part({"artifacts": []}, "the engine is gone" if name > "h" else None)

    with pytest.raises(TooManyFailures, match="2 of 10 failed, the last with: the engine is gone"):
        asyncio.run(each_part(LocalStage(tmp_path), {name: name for name in "abcdefghij"}, work, what="Work"))
    assert not (tmp_path / "artifacts.parquet").exists()


def test_a_cancelled_stage_keeps_what_was_finished(tmp_path: Path) -> None:
    """A run that is cancelled in the UI is interrupted in the middle of its work."""

    async def work(name: str, place: int) -> Part:
        if name > "c":
            await asyncio.sleep(60)
        return Part({"artifacts": []})

    stage = LocalStage(tmp_path)

    async def cancelled() -> None:
        stages = asyncio.create_task(each_part(stage, {name: name for name in "abcdef"}, work, what="Work"))
        while len(list(stage.parts())) < 3:
            await asyncio.sleep(0.01)
        stages.cancel()
        await stages

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert {name for name, _ in stage.parts()} == {"a", "b", "c"}


def test_a_store_that_fails_in_the_middle_is_told_in_its_own_words(tmp_path: Path) -> None:
    class NoRoom(LocalStage):
        def keep_part(self, name: str, data: bytes) -> None:
            raise StoreError(f"{name}: the server failed")

    async def work(name: str, place: int) -> Part:
        return Part({"artifacts": []})

    with pytest.raises(StoreError, match="the server failed"):
        asyncio.run(each_part(NoRoom(tmp_path), {name: name for name in "abcde"}, work, what="Work"))

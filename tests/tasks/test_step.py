"""A step that two runs need at once is done once; on a full disk it is told in words, and a retry completes."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import polars as pl
import pytest
from prefect.client.schemas.objects import State
from prefect.logging import disable_run_logger
from prefect.states import Failed

import tasks.step
from infra.disk import DiskFull
from infra.s3 import StoreDown, StoreError
from infra.store import Store
from tasks.step import Stage, cache_key, step
from tests.tasks.local_stage import LocalStage


@step("make_squares", version=1)
def make_squares(stage: Stage, count: int) -> int:
    stage.write("squares", pl.DataFrame({"square": [n * n for n in range(count)]}))
    return count


@pytest.mark.integration
def test_a_step_on_a_full_disk_names_the_file_and_its_retry_completes(store: Store, tmp_path: Path) -> None:
    key = cache_key("make_squares", 1, {"count": 3})
    table = tmp_path / "home" / "work" / "make_squares" / key / "squares.parquet"
    table.parent.mkdir(parents=True)
    table.symlink_to("/dev/full")
    with disable_run_logger():
        with pytest.raises(DiskFull, match=f"cannot write squares to {table}") as problem:
            make_squares.fn(count=3)  # type: ignore[attr-defined]
        assert "CPL_HOME" in str(problem.value)
        assert store.names("stages/make_squares/") == []
        table.unlink()
        ref = make_squares.fn(count=3)  # type: ignore[attr-defined]
    assert pl.read_parquet(store.fetch(ref, "squares.parquet"))["square"].to_list() == [0, 1, 4]
    assert not table.parent.exists()


@pytest.mark.integration
def test_of_two_runs_of_a_step_one_waits_and_finds_it_done(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are threads here: a lock on an open file keeps them apart as it does processes."""
    begun, waited = threading.Event(), threading.Event()
    made = []

    @step("make_slowly", version=1)
    def make_slowly(stage: Stage) -> int:
        begun.set()
        assert waited.wait(10)
        made.append(stage.folder)
        stage.write("made", pl.DataFrame({"made": [len(made)]}))
        return 1

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting: another run" in record.getMessage():
                waited.set()

    log = logging.Logger("steps")
    log.addHandler(Log())
    monkeypatch.setattr(tasks.step, "get_run_logger", lambda: log)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(make_slowly.fn)  # type: ignore[attr-defined]
        assert begun.wait(10)
        second = threads.submit(make_slowly.fn)  # type: ignore[attr-defined]
        assert first.result() == second.result()
    (folder,) = made
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("problem", "is_tried_again"),
    [
        (StoreDown("cannot be reached"), True),
        (httpx.ConnectError("the Prefect server is away"), True),
        (StoreError("there is no object"), False),
        (DiskFull("make room"), False),
        (ValueError("a defect"), False),
    ],
)
def test_a_step_is_tried_again_after_what_may_pass(problem: Exception, is_tried_again: bool) -> None:
    failed: State[Exception] = Failed(data=problem)
    assert make_squares.retry_condition_fn(make_squares, None, failed) is is_tried_again  # type: ignore[attr-defined]
    assert make_squares.retries == len(make_squares.retry_delay_seconds)  # type: ignore[attr-defined]


def test_a_progress_bar_that_cannot_be_drawn_ends_no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def away(*given: object, **more: object) -> None:
        raise httpx.ConnectError("the Prefect server is away")

    drawn: list[float] = []
    stage = LocalStage(tmp_path)
    stage.name = "squares"
    monkeypatch.setattr(tasks.step, "create_progress_artifact", away)
    progress = tasks.step.Progress(stage, "Squares", total=2)

    def draw(share: float, **about: object) -> str:
        drawn.append(share)
        return "bar"

    monkeypatch.setattr(tasks.step, "create_progress_artifact", draw)
    monkeypatch.setattr(tasks.step, "update_progress_artifact", away)
    assert progress.show(2)
    assert progress.show(2)
    assert drawn == [100.0]

"""A step that two runs need at once is done once; on a full disk it is told in words, and a retry completes."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from prefect.logging import disable_run_logger

import tasks.step
from infra.disk import DiskFull
from infra.store import Store
from tasks.step import Stage, cache_key, step


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

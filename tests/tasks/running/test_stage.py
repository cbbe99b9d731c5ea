"""A stage that two runs need at once is done once; on a full disk it is told in words, and a retry completes."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import polars as pl
import pytest
from prefect.client.schemas.objects import State
from prefect.states import Failed

import tasks.running.progress
import tasks.running.stage
import tasks.stages.publish
from infra.contract.disk import DiskFull
from infra.store import Ref, Store
from infra.store.s3 import StoreDown, StoreError
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tests.tasks.running.local_stage import LocalStage

LOG = logging.getLogger("stages")


@stage("make_squares", version=1)
def make_squares(workplace: Workplace, count: int) -> int:
    workplace.write("squares", pl.DataFrame({"square": [n * n for n in range(count)]}))
    return count


@pytest.mark.integration
def test_a_stage_on_a_full_disk_names_the_file_and_its_retry_completes(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "home" / "work" / "make_squares" / make_squares.key(3) / "squares.parquet"
    table.parent.mkdir(parents=True)
    table.symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=f"cannot write squares to {table}") as problem:
        make_squares.run({"count": 3}, store, LOG)
    assert "CPL_HOME" in str(problem.value)
    assert store.names("stages/make_squares/") == []
    table.unlink()
    ref, is_done = make_squares.run({"count": 3}, store, LOG)
    assert not is_done
    assert pl.read_parquet(store.fetch(ref, "squares.parquet"))["square"].to_list() == [0, 1, 4]
    assert not table.parent.exists()


@pytest.mark.integration
def test_what_a_stage_was_made_of_is_named_by_where_it_stood(store: Store) -> None:
    """However deep: what is part of the key is an input of the manifest, from which lineage is told."""

    @stage("make_of_others", version=1)
    def make_of_others(workplace: Workplace, one: Ref, several: list[Ref], by_name: dict[str, list[Ref]]) -> int:
        return 0

    first, second = (make_squares.run({"count": count}, store, LOG)[0] for count in (1, 2))
    given = {"one": first, "several": [second, first], "by_name": {"a": [second]}}
    made, _ = make_of_others.run(given, store, LOG)
    manifest = store.manifest(made)
    assert manifest.inputs == {"one": first, "several.0": second, "several.1": first, "by_name.a.0": second}
    assert manifest.config == {}


@pytest.mark.integration
def test_of_two_runs_of_a_stage_one_waits_and_finds_it_done(store: Store) -> None:
    """They are threads here: a lock on an open file keeps them apart as it does processes."""
    begun, waited = threading.Event(), threading.Event()
    made = []

    @stage("make_slowly", version=1)
    def make_slowly(workplace: Workplace) -> int:
        begun.set()
        assert waited.wait(10)
        made.append(workplace.folder)
        workplace.write("made", pl.DataFrame({"made": [len(made)]}))
        return 1

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for process" in record.getMessage():
                waited.set()

    log = logging.Logger("stages")
    log.addHandler(Log())
    with ThreadPoolExecutor() as threads:
        first = threads.submit(make_slowly.run, {}, store, log)
        assert begun.wait(10)
        second = threads.submit(make_slowly.run, {}, store, log)
        assert first.result() == (make_slowly.find(store), False)
        assert second.result() == (make_slowly.find(store), True)
    (folder,) = made
    assert list(folder.parent.iterdir()) == []


@pytest.mark.integration
def test_parts_that_a_kill_left_behind_a_commit_go_when_the_stage_is_found(store: Store) -> None:
    ref, _ = make_squares.run({"count": 4}, store, LOG)
    store.put(f"stages/make_squares/{make_squares.key(4)}/parts/q/1", b"kept before the kill")
    assert make_squares.run({"count": 4}, store, LOG) == (ref, True)
    assert store.names(f"stages/make_squares/{make_squares.key(4)}/parts/") == []


@pytest.mark.integration
def test_what_a_stage_wrote_is_not_downloaded_on_the_machine_that_wrote_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, _ = make_squares.run({"count": 5}, store, LOG)
    monkeypatch.setattr(store, "download", lambda *_: pytest.fail("it was there"))
    assert pl.read_parquet(store.fetch(ref, "squares.parquet")).height == 5


@pytest.mark.integration
def test_a_damaged_part_is_done_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    workplace = Workplace("make_squares", "k", store, LOG)
    for name in ("q/1", "q/2", "q/3"):
        workplace.keep_parts({name: b"rows"})
    first, second, third = store.names("stages/make_squares/k/parts/")
    kept = {name: dict(pl.read_ipc(store.get(name)).iter_rows()) for name in (first, second, third)}
    whole = store.client.head_object(Bucket=store.bucket, Key=store.prefix + second)
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + second, Body=b"half", Metadata=whole["Metadata"])
    store.put(third, b"no bundle")
    assert dict(workplace.parts()) == kept[first]
    assert caplog.text.count("parts are done again") == 2


@pytest.mark.integration
def test_a_store_that_is_down_is_not_one_without_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage is tried again when it is back; it must not begin from nothing."""
    workplace = Workplace("make_squares", "down", store, LOG)
    workplace.keep_parts({"q/1": b"rows"})

    def down(name: str) -> bytes:
        raise StoreDown("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(store, "get", down)
        with pytest.raises(StoreDown):
            list(workplace.parts())
    assert dict(workplace.parts()) == {"q/1": b"rows"}


@pytest.mark.integration
def test_of_a_part_that_was_made_again_the_later_one_is_read(store: Store) -> None:
    workplace = Workplace("make_squares", "twice", store, LOG)
    for number in range(8):
        workplace.keep_parts({"q/1": str(number).encode()})
    assert dict(workplace.parts()) == {"q/1": b"7"}


@pytest.mark.integration
def test_a_stage_whose_payload_was_lost_is_made_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ref, _ = make_squares.run({"count": 6}, store, LOG)
    store.delete(store.names("objects/"))
    assert make_squares.run({"count": 6}, store, LOG) == (ref, False)
    assert "squares.parquet" in caplog.text
    assert make_squares.run({"count": 6}, store, LOG) == (ref, True)


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
def test_a_stage_is_tried_again_after_what_may_pass(problem: Exception, is_tried_again: bool) -> None:
    failed: State[Exception] = Failed(data=problem)
    assert tasks.running.stage.may_pass(None, None, failed) is is_tried_again
    for one in (tasks.running.stage._run, tasks.stages.publish.point_to):
        assert one.retry_condition_fn is tasks.running.stage.may_pass
        assert one.retries == len(tasks.running.stage.PAUSES)


def test_a_progress_bar_that_cannot_be_drawn_ends_no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def away(*given: object, **more: object) -> None:
        raise httpx.ConnectError("the Prefect server is away")

    drawn: list[float] = []
    workplace = LocalStage(tmp_path)
    workplace.name = "squares"
    monkeypatch.setattr(tasks.running.progress, "create_progress_artifact", away)
    progress = tasks.running.progress.Progress(workplace.log, "Squares", total=2)

    def draw(share: float, **about: object) -> str:
        drawn.append(share)
        return "bar"

    monkeypatch.setattr(tasks.running.progress, "create_progress_artifact", draw)
    monkeypatch.setattr(tasks.running.progress, "update_progress_artifact", away)
    assert progress.show(2)
    assert progress.show(2)
    assert drawn == [100.0]

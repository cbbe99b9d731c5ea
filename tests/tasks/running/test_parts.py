"""Work in parts: killed at any point and resumed, it gives the tables of the uninterrupted run, byte for byte."""

import asyncio
import io
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.s3 import StoreError
from tasks.running import parts
from tasks.running.parts import Part, TooManyFailures, each_part
from tasks.running.workplace import Log
from tests.tasks.running.local_stage import LocalStage, Silent, search

ROOT = Path(__file__).parents[3]


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
    assert trees["tree_id"].to_list() == [f"search/q/{number}" for number in range(40)]
    assert trees.filter(pl.col("state") == "failed")["tree_id"].to_list() == ["search/q/39"]
    assert (
        pl.read_parquet(whole / "nodes.parquet")["tree_id"].unique(maintain_order=True).to_list()
        == trees["tree_id"].to_list()
    )


@pytest.mark.parametrize("after", [1, 13, 30])
def test_killed_and_resumed_the_tables_are_the_same_bytes(whole: Path, tmp_path: Path, after: int) -> None:
    """SIGKILL of the process once so many parts are kept."""
    process = subprocess.Popen([sys.executable, "-m", "tests.tasks.running.local_stage", str(tmp_path)], cwd=ROOT)
    while len(list((tmp_path / "kept").rglob("*"))) <= after and process.poll() is None:
        time.sleep(random.random() / 1000)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    search(tmp_path)
    for table in ("trees", "nodes"):
        assert (tmp_path / f"{table}.parquet").read_bytes() == (whole / f"{table}.parquet").read_bytes()


def row(name: str, place: int = 0) -> dict[str, object]:
    return {"stage": name, "name": name, "uri": "", "size": place, "sha256": "", "rows": None}


class Worker:
    """Fails with each item of `lost` so many times, by saying so or, of those in `raises`, by an error."""

    def __init__(self, lost: dict[str, int] | None = None, raises: Mapping[str, Exception] | None = None) -> None:
        self.done: list[str] = []
        self.places: dict[str, int] = {}
        self.left = dict(lost or {})
        self.raises = raises or {}

    async def __call__(self, name: str, place: int) -> Part:
        self.done.append(name)
        self.places[name] = place
        error = None
        if self.left.get(name, 0):
            self.left[name] -= 1
            if name in self.raises:
                raise self.raises[name]
            error = f"{name} is gone"
        return Part({"artifacts": [row(name, place)]}, error)


def do(workplace: LocalStage, work: Worker, names: str = "abcdefghijkl") -> None:
    asyncio.run(each_part(workplace, {name: name for name in names}, work, what="Work"))


def test_a_kept_part_is_not_done_again_and_a_failed_one_is_once(tmp_path: Path) -> None:
    workplace, work = LocalStage(tmp_path), Worker({"b": 3})
    do(workplace, work)
    assert (work.done, workplace.facts["failed_parts"]) == ([*"abcdefghijklb"], 1)
    assert {name for name, _ in workplace.parts()} == set("acdefghijkl")
    assert workplace.written("artifacts")["name"].to_list() == list("abcdefghijkl"), "with the rows that it gave"
    again = LocalStage(tmp_path)
    do(again, work)
    assert (work.done[13:], again.facts["failed_parts"], again.facts["notes"]) == (["b", "b"], 0, [])
    assert again.written("artifacts")["name"].to_list() == list("abcdefghijkl")
    assert work.places == {name: place for place, name in enumerate("abcdefghijkl")}


def test_a_passing_fault_is_mended_by_the_second_try(tmp_path: Path) -> None:
    workplace, work = LocalStage(tmp_path), Worker({"b": 1, "d": 1}, raises={"d": TypeError("text is null")})
    do(workplace, work, "abcd")
    assert (work.done, workplace.facts) == ([*"abcdbd"], {"failed_parts": 0, "notes": []})
    assert workplace.written("artifacts")["name"].to_list() == list("abcd")


@pytest.mark.parametrize(
    "error",
    [ValueError("Exceeds the limit (4300 digits)"), TypeError("text is null"), RecursionError("too deep")],
    ids=lambda error: type(error).__name__,
)
def test_an_unforeseen_error_is_its_items_and_not_the_stages(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    workplace, work = LocalStage(tmp_path), Worker({"b": 2}, raises={"b": error})
    with caplog.at_level("INFO"):
        do(workplace, work)
    assert workplace.facts["failed_parts"] == 1
    [note] = workplace.facts["notes"]
    assert note == f"Work: 1 of 12 were lost, though tried twice: b ({type(error).__name__}: {error})."
    assert workplace.written("artifacts")["name"].to_list() == list("acdefghijkl")
    assert "Work: b failed" in caplog.text
    assert str(error) in caplog.text


def test_rows_that_no_table_takes_are_their_items_failure(tmp_path: Path) -> None:
    class Broken(Worker):
        async def __call__(self, name: str, place: int) -> Part:
            part = await super().__call__(name, place)
            return Part({"artifacts": [row("lone \ud800 surrogate")]}) if name == "k" else part

    workplace = LocalStage(tmp_path)
    do(workplace, Broken())
    [note] = workplace.facts["notes"]
    assert "Work: 1 of 12 were lost, though tried twice: k (UnicodeEncodeError" in note
    assert workplace.written("artifacts")["name"].to_list() == list("abcdefghijl")


def test_what_is_lost_is_told_beside_what_the_stage_has_to_say_and_not_at_length(tmp_path: Path) -> None:
    workplace = LocalStage(tmp_path)
    workplace.facts["notes"] = ["Two questions are the same."]
    names = {f"{number:02}": "" for number in range(50)}
    raises = {name: ValueError("long " * 100) for name in names}
    work = Worker(dict.fromkeys(("07", "11", "23", "31"), 2), raises)
    asyncio.run(each_part(workplace, {name: name for name in names}, work, what="Work"))
    first, second = workplace.facts["notes"]
    assert first == "Two questions are the same."
    assert second.startswith("Work: 4 of 50 were lost, though tried twice: 07 (ValueError: long long")
    assert second.endswith("; and 1 more.")
    assert "23 (" in second
    assert "31" not in second
    assert [len(why.split(")")[0]) for why in second.split("(")[1:]] == [200] * 3
    assert second.count("; ") == 3


def test_more_than_a_tenth_of_failures_is_not_committed_and_the_message_says_why(tmp_path: Path) -> None:
    with pytest.raises(TooManyFailures, match=r"Work: 2 of 12 failed, .* the last, j, with: j is gone"):
        do(LocalStage(tmp_path / "two"), Worker({"i": 2, "j": 2}))
    assert not (tmp_path / "two" / "artifacts.parquet").exists()
    assert len(list(LocalStage(tmp_path / "two").parts())) == 10, "what finished is kept"
    do(LocalStage(tmp_path / "one"), Worker({"i": 2}), "abcdefghij")
    with pytest.raises(TooManyFailures, match="the last, j, with: TypeError: no"):
        do(LocalStage(tmp_path / "all"), Worker({"j": 2}, raises={"j": TypeError("no")}), "j")


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"garbage",
        pytest.param(lambda _: compressed(b"ARROW1" + bytes(200)), id="no Arrow"),
        pytest.param(lambda data: data[: len(data) // 2], id="half"),
        pytest.param(lambda data: packed(artifacts=[row("x") | {"more": 1}]), id="other columns"),
        pytest.param(lambda data: packed(unheard_of=[{"a": 1}]), id="other table"),
        pytest.param(lambda data: packed(code=None, artifacts=[row("x")]), id="without its code"),
        pytest.param(lambda data: packed(rows=2, artifacts=[row("x")]), id="two rows"),
    ],
)
def test_a_kept_part_that_is_none_of_this_codes_is_named_and_done_again(
    tmp_path: Path, kept: Any, caplog: pytest.LogCaptureFixture
) -> None:
    workplace = LocalStage(tmp_path)
    do(workplace, Worker(), "abc")
    whole = (tmp_path / "artifacts.parquet").read_bytes()
    workplace.keep_parts({"b": kept(dict(workplace.parts())["b"]) if callable(kept) else kept})
    again, work = LocalStage(tmp_path), Worker()
    with caplog.at_level("INFO"):
        do(again, work, "abc")
    assert work.done == ["b"]
    assert "Work: the part b that was kept is not this code's" in caplog.text
    assert "2 of 3 were finished before and are kept" in caplog.text
    assert (tmp_path / "artifacts.parquet").read_bytes() == whole
    assert again.facts["notes"] == []


def packed(code: str | None = "this code", rows: int = 1, **tables: list[dict[str, Any]]) -> bytes:
    columns = [pl.Series(name, [content] * rows) for name, content in tables.items()]
    buffer = io.BytesIO()
    pl.DataFrame([*([pl.Series("code", [code] * rows)] if code else []), *columns]).write_ipc(buffer)
    return compressed(buffer.getvalue())


def compressed(data: bytes) -> bytes:
    kept = pa.BufferOutputStream()
    with pa.CompressedOutputStream(kept, "zstd") as stream:
        stream.write(data)
    return kept.getvalue().to_pybytes()


def test_a_part_of_no_item_is_passed_over(tmp_path: Path) -> None:
    workplace, work = LocalStage(tmp_path), Worker()
    do(workplace, Worker(), "abc")
    workplace.keep_parts({"Another": b"garbage"})
    do(LocalStage(tmp_path), work, "abc")
    assert work.done == []


def test_parts_of_other_code_are_used_and_a_note_says_so(tmp_path: Path) -> None:
    """A retry after an upgrade keeps hours of work; where a stage's output changes, its version and so its key does."""
    before = LocalStage(tmp_path, code="0.1.0+old")
    do(before, Worker(), "ab")
    after, work = LocalStage(tmp_path, code="0.1.0+new"), Worker()
    do(after, work, "abc")
    assert work.done == ["c"]
    said = "Work: 2 of 3 were made before by other code (0.1.0+old), the others by 0.1.0+new."
    assert after.facts["notes"] == [said]


def test_parts_of_other_code_that_fill_other_tables_are_done_again(tmp_path: Path) -> None:
    async def with_evaluations(name: str, place: int) -> Part:
        return Part({"artifacts": [row(name)], "models": []})

    asyncio.run(each_part(LocalStage(tmp_path, code="old"), {"a": "a"}, with_evaluations, what="Work"))
    workplace, work = LocalStage(tmp_path, code="new"), Worker()
    do(workplace, work, "ab")
    assert work.done == ["b", "a"]
    assert workplace.facts["notes"] == []
    assert workplace.written("artifacts")["name"].to_list() == ["a", "b"]


def test_the_work_is_shown_as_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, str]] = []

    class Shown(Silent):
        def __init__(self, log: Log, what: str, total: int) -> None:
            assert (what, total) == ("Work", 3)

        def show(self, done: int, note: str = "") -> bool:
            shown.append((done, note))
            return True

    monkeypatch.setattr(parts, "Progress", Shown)
    asyncio.run(each_part(LocalStage(tmp_path), dict.fromkeys("abc", ""), Worker(), what="Work", note=lambda: "busy"))
    assert shown == sorted(set(shown)), "each once"
    assert shown[-1] == (3, "busy")


def test_how_many_parts_are_done_is_known_over_time(tmp_path: Path) -> None:
    for done in ([0, 1, 2, 3], [3]):  # the second time all are kept
        workplace = LocalStage(tmp_path)
        do(workplace, Worker(), "abc")
        assert workplace.timeline.series["parts"]["done"] == done


def test_no_part_waits_for_a_bar_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while Prefect's server is away: what draws waits for it, half a minute each time."""
    is_back = threading.Event()

    class Away(Silent):
        def __init__(self, log: Log, what: str, total: int) -> None:
            assert is_back.wait(20), "the work waits for the bar"

    class Ending(Worker):
        async def __call__(self, name: str, place: int) -> Part:
            part = await super().__call__(name, place)
            if len(self.done) == len(names):
                is_back.set()
            return part

    names = {f"{number:02}": f"{number:02}" for number in range(40)}
    monkeypatch.setattr(parts, "Progress", Away)
    asyncio.run(each_part(LocalStage(tmp_path), names, Ending(), what="Work"))
    assert is_back.is_set()


def test_a_part_without_rows_adds_none(tmp_path: Path) -> None:
    class Sparse(Worker):
        async def __call__(self, name: str, place: int) -> Part:
            part = await super().__call__(name, place)
            return Part({"artifacts": []}) if name == "b" else part

    workplace = LocalStage(tmp_path)
    do(workplace, Sparse(), "abc")
    assert workplace.written("artifacts")["name"].to_list() == ["a", "c"]
    assert {name for name, _ in workplace.parts()} == set("abc")


def test_a_part_is_kept_in_little_room(tmp_path: Path) -> None:
    """A tree's texts say the same again and again."""

    async def wordy(name: str, place: int) -> Part:
        return Part({"artifacts": [row("the same words " * 10_000)]})

    workplace = LocalStage(tmp_path)
    asyncio.run(each_part(workplace, {"a": "a"}, wordy, what="Work"))
    [(_, data)] = workplace.parts()
    assert len(data) < 15_000


def test_no_items_are_no_failure(tmp_path: Path) -> None:
    workplace = LocalStage(tmp_path)
    do(workplace, Worker(), "")
    assert workplace.facts == {"failed_parts": 0, "notes": []}


def test_three_lost_ones_are_all_named(tmp_path: Path) -> None:
    workplace = LocalStage(tmp_path)
    names = {f"{number:02}": f"{number:02}" for number in range(30)}
    asyncio.run(each_part(workplace, names, Worker(dict.fromkeys(("07", "11", "23"), 2)), what="Work"))
    told = "07 (07 is gone); 11 (11 is gone); 23 (23 is gone)."
    assert workplace.facts["notes"] == [f"Work: 3 of 30 were lost, though tried twice: {told}"]


def test_large_work_is_written_a_batch_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BATCH", 5)
    workplace = LocalStage(tmp_path)
    do(workplace, Worker())
    assert workplace.written("artifacts")["name"].to_list() == list("abcdefghijkl")
    with pq.ParquetFile(tmp_path / "artifacts.parquet") as file:
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [5, 5, 2]


def test_a_cancelled_stage_keeps_what_was_finished(tmp_path: Path) -> None:
    """A run that is cancelled in the UI is interrupted in the middle of its work."""

    async def work(name: str, place: int) -> Part:
        if name > "c":
            await asyncio.sleep(60)
        return Part({"artifacts": []})

    workplace = LocalStage(tmp_path)

    async def cancelled() -> None:
        stages = asyncio.create_task(each_part(workplace, {name: name for name in "abcdef"}, work, what="Work"))
        while len(list(workplace.parts())) < 3:
            await asyncio.sleep(0.01)
        stages.cancel()
        await stages

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert {name for name, _ in workplace.parts()} == {"a", "b", "c"}


def test_a_store_that_fails_in_the_middle_is_told_in_its_own_words(tmp_path: Path) -> None:
    class NoRoom(LocalStage):
        def keep_parts(self, parts: Mapping[str, bytes]) -> None:
            if "c" in parts:
                raise StoreError("c: the server failed")

    async def work(name: str, place: int) -> Part:
        return Part({"artifacts": []})

    with pytest.raises(StoreError, match="the server failed"):
        asyncio.run(each_part(NoRoom(tmp_path), {name: name for name in "abcde"}, work, what="Work"))


def test_parts_that_are_finished_together_are_kept_together_and_none_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question of an evaluation takes milliseconds, and an object in a store as long."""
    monkeypatch.setattr(parts, "KEEP_SECONDS", 0.5)
    bundles: list[list[str]] = []

    class Counting(LocalStage):
        def keep_parts(self, parts: Mapping[str, bytes]) -> None:
            bundles.append(sorted(parts))
            super().keep_parts(parts)

    async def work(name: str, place: int) -> Part:
        while name == "z" and sum(map(len, bundles)) < 6:  # the last of the work is nothing that the others wait for
            await asyncio.sleep(0.01)
        return Part({"artifacts": [row(name)]})

    asyncio.run(each_part(Counting(tmp_path), {name: name for name in "abcdefz"}, work, what="Work"))
    assert bundles.pop() == ["z"]
    assert sorted(name for bundle in bundles for name in bundle) == list("abcdef")
    assert len(bundles) < 6, "an object for each part"


def test_parts_that_a_store_did_not_take_are_given_to_it_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage that goes on from them in a minute reads the store alone."""
    monkeypatch.setattr(parts, "KEEP_SECONDS", 0.02)

    class DownOnce(LocalStage):
        is_up = False

        def keep_parts(self, parts: Mapping[str, bytes]) -> None:
            if not self.is_up:
                self.is_up = True
                raise StoreError("the server failed")
            super().keep_parts(parts)

    async def work(name: str, place: int) -> Part:
        await asyncio.sleep(60 if name == "z" else 0)
        return Part({"artifacts": [row(name)]})

    workplace = DownOnce(tmp_path)
    with pytest.raises(StoreError, match="the server failed"):
        asyncio.run(each_part(workplace, {name: name for name in "abz"}, work, what="Work"))
    assert {name for name, _ in workplace.parts()} == {"a", "b"}


def test_what_is_finished_last_is_given_to_a_store_once_more_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is finished while the others are on their way, and so goes there after all work."""
    monkeypatch.setattr(parts, "KEEP_SECONDS", 0.02)
    given: list[list[str]] = []

    class DownThen(LocalStage):
        def keep_parts(self, parts: Mapping[str, bytes]) -> None:
            given.append(sorted(parts))
            if len(given) == 2:
                raise StoreError("the server failed")
            while len(workplace.timeline.series["parts"]["done"]) < 3:  # 0, "a", and "b" meanwhile
                time.sleep(0.01)
            super().keep_parts(parts)

    async def work(name: str, place: int) -> Part:
        while name == "b" and not given:
            await asyncio.sleep(0.01)
        return Part({"artifacts": [row(name)]})

    workplace = DownThen(tmp_path)
    with pytest.raises(StoreError, match="the server failed"):
        asyncio.run(each_part(workplace, {name: name for name in "ab"}, work, what="Work"))
    assert given == [["a"], ["b"], ["b"]]
    assert {name for name, _ in workplace.parts()} == {"a", "b"}


def test_how_many_rows_an_earlier_attempt_kept_is_known(tmp_path: Path) -> None:
    stage = LocalStage(tmp_path)
    search(tmp_path)
    stage.keep_parts({"q/3": b"garbage"})
    kept = parts.rows_kept(stage, ["q/1", "q/2", "q/3", "other"], "nodes")
    nodes = pl.read_parquet(tmp_path / "nodes.parquet").group_by("tree_id").len()
    assert kept == {f"q/{n}": nodes.filter(tree_id=f"search/q/{n}")["len"].item() for n in (1, 2)}
    assert parts.rows_kept(stage, ["q/1"], "evaluations") == {}

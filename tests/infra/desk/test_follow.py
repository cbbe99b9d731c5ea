"""Starting a run, and how long is left, as `cpl round` says it."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Running

from infra.desk.follow import SILENCE_SECONDS, OutOfSight, _tell_bar, follow, remaining
from tests.servers import run_python

START = """
from infra.desk.follow import UnknownField, start
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter
with get_client(sync_client=True) as client:
    schema = {"type": "object", "properties": {"model": {"type": "string"}, "repeat": {"type": "integer"}}}
    client.create_deployment(client.create_flow_from_name("cpl"), "round", parameter_openapi_schema=schema)
    try:
        start("cpl/round", {"repaet": 1})
    except UnknownField as problem:
        asked = FlowFilter(name={"any_": ["cpl"]})
        print(len(client.read_flow_runs(flow_filter=asked)), problem)
    print(start("cpl/round", {"repeat": 1}).parameters)
"""


@pytest.mark.integration
def test_a_field_that_is_none_is_named_at_once_and_not_when_the_runs_turn_comes(prefect: dict[str, str]) -> None:
    said = run_python(START, prefect).splitlines()
    assert said == ["0 there is no field repaet. The fields are: model, repeat", "{'repeat': 1}"]


RUN_OF_RUNS = """
import threading
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter
from prefect.logging import get_run_logger
from rich.console import Console
from infra.desk.follow import follow
from tasks.running.progress import Progress

seen = threading.Semaphore(0)

class Watched(Console):
    def print(self, line):
        super().print(line)
        if "next" in line or "running" in line:
            seen.release()

@flow(persist_result=False)
def cpl(number: int) -> None:
    seen.acquire()

@flow(persist_result=False)
def study() -> None:
    progress = Progress(get_run_logger(), "Rounds", total=2, every=0.0)
    for number in range(2):
        progress.show(number, f"made, next {number}")
        seen.acquire()
        cpl.with_options(flow_run_name=f"mine/{number}")(number)
    progress.show(2)

ended = threading.Thread(target=study)
ended.start()
with get_client(sync_client=True) as client:
    while not (runs := client.read_flow_runs(flow_filter=FlowFilter(name={"any_": ["study"]}))):
        pass
follow(runs[0], Watched(width=200))
ended.join()
"""


@pytest.mark.integration
def test_runs_within_a_run_are_told_by_their_names_and_how_many_are_left(prefect: dict[str, str]) -> None:
    said = run_python(RUN_OF_RUNS, prefect).splitlines()
    lines = [" ".join(line.split()[1:]) for line in said if line[2:3] == ":"]
    told = [re.sub(r"completed .*", "completed", line) for line in lines]
    for line in ("Rounds: 0 of 2 made, next 0", "mine/0 running", "mine/0 completed", "mine/1 completed"):
        assert line in told
    assert [line for line in told if line.startswith("Rounds: 1 of 2 made, next 1, about ")]
    assert told.index("mine/0 completed") < told.index("mine/1 running")
    assert not [line for line in told if line.startswith("cpl-")]


def test_what_is_left_goes_by_the_pace_since_the_bar_was_first_seen() -> None:
    assert remaining(0, 20, 10, 40) == ", about 30 s left"
    assert remaining(0, 0, 100, 10) == ", about 15 minutes left"
    assert remaining(0, 0, 10, 100) == "", "what is left is no part of the pace: it is written, or committed"


def test_without_a_pace_nothing_is_promised() -> None:
    assert remaining(0, 20, 0, 20) == ""
    assert remaining(0, 20, 10, 20) == ""


def test_what_was_found_in_the_cache_is_no_pace_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred rounds fifty are found, one a second; the others take a minute each."""
    printed: list[str] = []
    console: Any = SimpleNamespace(print=printed.append)
    bar, now = None, 0.0
    for done in range(58):
        now += 1.0 if done <= 50 else 60.0
        monkeypatch.setattr("infra.desk.follow.time.monotonic", lambda now=now: now)
        drawn = SimpleNamespace(type="progress", task_run_id=None, description=f"Rounds: {done} of 100", data=done)
        client: Any = SimpleNamespace(read_artifacts=lambda artifact_filter, drawn=drawn: [drawn])
        bar = _tell_bar(client, SimpleNamespace(id=uuid4()), bar, console)  # type: ignore[arg-type]
    assert printed[30].endswith("about 70 s left")
    assert printed[57].endswith("about 43 minutes left")


@pytest.fixture
def printed() -> list[str]:
    return []


def followed(monkeypatch: pytest.MonkeyPatch, answers: Iterator[Any], printed: list[str]) -> Any:
    """What following a run comes to, whose server gives these answers: a state, or an exception to raise."""
    clock = iter(range(10_000))

    def answer(_: Any) -> Any:
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return SimpleNamespace(state=given)

    client = SimpleNamespace(
        read_flow_run=answer, read_artifacts=lambda artifact_filter: [], read_task_runs=lambda flow_run_filter, sort: []
    )
    monkeypatch.setattr("infra.desk.follow.get_client", lambda sync_client: nullcontext(client))
    monkeypatch.setattr("infra.desk.follow.time.sleep", lambda seconds: None)
    monkeypatch.setattr("infra.desk.follow.time.monotonic", lambda: float(next(clock)))
    run: Any = SimpleNamespace(id=uuid4())
    return follow(run, SimpleNamespace(print=printed.append))  # type: ignore[arg-type]


def test_a_server_that_is_silent_for_a_while_ends_no_following(
    monkeypatch: pytest.MonkeyPatch, printed: list[str]
) -> None:
    silence: list[Any] = [httpx.ReadTimeout("timed out")] * int(SILENCE_SECONDS - 1)
    answers = iter([Running(), *silence, Running(), *silence, Completed()])
    assert followed(monkeypatch, answers, printed).is_completed()
    assert len([line for line in printed if "does not answer, asking again" in line]) == 2


def test_nobody_waits_for_ever_for_a_server_that_is_gone(monkeypatch: pytest.MonkeyPatch, printed: list[str]) -> None:
    silence: list[Any] = [httpx.ConnectError("refused")] * int(SILENCE_SECONDS + 10)
    with pytest.raises(OutOfSight, match=r"15 minutes .*refused.*may go on all the same"):
        followed(monkeypatch, iter([Running(), *silence, Completed()]), printed)


def test_a_run_that_was_deleted_is_followed_no_more(monkeypatch: pytest.MonkeyPatch, printed: list[str]) -> None:
    with pytest.raises(OutOfSight, match="deleted"):
        followed(monkeypatch, iter([Running(), ObjectNotFound(Exception())]), printed)

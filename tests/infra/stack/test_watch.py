"""The stack left to itself: schedules fire, what dies is found, started or tried again, and somebody is told."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
import pytest
import yaml

from infra.stack import api
from infra.stack.local import SERVER, WATCH, WORKER, Stack
from infra.stack.watch import Watch
from tests.infra.stack.stacks import ROOT, is_alive, process_of, start_long_flow, wait_for


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """A running stack without its watch: the tests watch, more impatiently."""
    stack.parts[WATCH].end()
    return stack


def runs(stack: Stack, *states: str) -> list[dict[str, Any]]:
    wanted = {"flow_runs": {"state": {"type": {"any_": list(states)}}}}
    found: list[dict[str, Any]] = api.ask(stack.home, "POST", "/flow_runs/filter", wanted)
    return found


@pytest.mark.integration
@pytest.mark.parametrize(
    "schedule",
    [
        {"cron": "* * * * *", "timezone": "Europe/Berlin", "day_or": True},
        {"interval": 60, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"},
    ],
)
def test_a_schedule_as_the_ui_makes_it_yields_runs_and_they_happen(stack: Stack, schedule: dict[str, Any]) -> None:
    round = api.ask(stack.home, "GET", "/deployments/name/cpl/round")
    seen = stack.root / "seen.txt"
    seen.unlink(missing_ok=True)
    (made,) = api.ask(
        stack.home, "POST", f"/deployments/{round['id']}/schedules", [{"active": True, "schedule": schedule}]
    )
    wait_for(lambda: len(runs(stack, "SCHEDULED")) > 1, stack, 45)
    wait_for(seen.exists, stack, 90)
    wait_for(lambda: any(run["auto_scheduled"] for run in runs(stack, "COMPLETED")), stack)
    url = f"{stack.ui}/api/deployments/{round['id']}/schedules/{made['id']}"
    name, _, password = api.login(stack.home).partition(":")
    wait_for(lambda: httpx.delete(url, auth=(name, password), timeout=60).status_code in (204, 404), stack)
    wait_for(lambda: not runs(stack, "SCHEDULED", "PENDING", "RUNNING"), stack)


@pytest.mark.integration
def test_a_run_whose_process_is_gone_is_crashed_told_and_tried_again_and_none_is_for_an_outage(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The silence is a sixth of the time between two heartbeats: only to ask for the process saves a run that lives.

    First its machine is lost, as its worker dies with it; then Prefect's server is away.
    """
    watch = Watch(stack.home, silence=5)
    told: list[dict[str, str]] = []
    with hook(told) as address, retrying(stack):
        monkeypatch.setenv("ALERT_URL", address)
        (alert,) = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "docs/operating.md").read_text())
        subprocess.run([sys.executable, "-c", alert], cwd=stack.root, check=True)
        states = (("CANCELLED", "Cancelled"), ("PAUSED", "Suspended"), ("PAUSED", "Paused"))
        waiting = {left(stack, *state) for state in states}
        child = start_long_flow(stack)
        flow = child.parent()
        assert flow is not None
        run = flow.environ()["PREFECT__FLOW_RUN_ID"]
        newest = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}, "limit": 1}
        wait_for(lambda: bool(api.ask(stack.home, "POST", "/events/filter", newest)["events"]), stack)
        assert found_lost(watch, seconds=10) == []

        process_of(stack, WORKER).kill()
        flow.kill()
        assert found_lost(watch, seconds=20) == [run]
        (crashed,) = [one for one in runs(stack, "CRASHED") if one["id"] == run]
        assert (crashed["id"], "its process is gone" in crashed["state"]["message"]) == (run, True)
        wait_for(lambda: any("Crashed: No heartbeat for 5 s" in one["text"] for one in told), stack)
        child.kill()
        child_pid = stack.root / "child.pid"
        child_pid.unlink()
        stack.up(print)
        stack.parts[WATCH].end()
        wait_for(lambda: child_pid.exists() and bool(child_pid.read_text()), stack, 120)
    assert [one["id"] for one in runs(stack, "RUNNING")] == [run], "tried again, and no other was"
    assert {one["id"] for one in runs(stack, "CANCELLED", "PAUSED")} >= waiting

    process_of(stack, SERVER).kill()
    assert found_lost(watch, seconds=10) == []
    stack.up(print)
    stack.parts[WATCH].end()
    assert found_lost(watch, seconds=10) == []
    assert [one["id"] for one in runs(stack, "RUNNING")] == [run]
    psutil.Process(int(child_pid.read_text())).kill()
    wait_for(lambda: run in [one["id"] for one in runs(stack, "COMPLETED")], stack)


@contextmanager
def hook(told: list[dict[str, str]]) -> Iterator[str]:
    """Where alerts are sent, as an address; `told` gets what they say."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def retrying(stack: Stack) -> Iterator[None]:
    """The automation that `up` left switched off is on, and soon at work."""
    (ours,) = yaml.safe_load((ROOT / "infra/stack/automations.yaml").read_text())["automations"]
    named = {"automations": {"name": {"any_": [ours["name"]]}}}
    (there,) = api.ask(stack.home, "POST", "/automations/filter", named)
    assert not there["enabled"]

    def put(automation: dict[str, Any]) -> None:
        name, _, password = api.login(stack.home).partition(":")
        url = f"{stack.ui}/api/automations/{there['id']}"
        httpx.put(url, json=automation, auth=(name, password), timeout=60).raise_for_status()

    put(ours | {"enabled": True, "trigger": ours["trigger"] | {"within": 10}})
    yield
    put(ours)


def left(stack: Stack, state: str, name: str) -> str:
    """The id of a new run of the round in this state."""
    round = api.ask(stack.home, "GET", "/deployments/name/cpl/round")["id"]
    asked = {"state": {"type": state, "name": name}}
    return str(api.ask(stack.home, "POST", f"/deployments/{round}/create_flow_run", asked)["id"])


def found_lost(watch: Watch, seconds: float) -> list[str]:
    """What it says crashed in this time."""
    deadline, found = time.monotonic() + seconds, list[str]()
    while time.monotonic() < deadline and not found:
        found += watch.look()
        time.sleep(0.5)
    return found


@pytest.mark.integration
def test_what_dies_is_started_again_by_the_watch_and_what_is_ended_is_not(stack: Stack) -> None:
    stack.up(print)
    killed = [process_of(stack, name) for name in (SERVER, WORKER)]
    for process in killed:
        process.kill()
    wait_for(lambda: all(part.state == "running" for part in stack.status()), stack, 90)
    assert {process_of(stack, name).pid for name in (SERVER, WORKER)}.isdisjoint(one.pid for one in killed)
    ended = [process_of(stack, name) for name in stack.parts]
    said: list[str] = []
    stack.down(said.append)
    assert not [line for line in said if "was not running" in line], "the watch took along what it had started"
    time.sleep(1)
    assert not any(is_alive(process) for process in ended)
    assert not [part for part in stack.status() if part.pid]


class Server:
    """A Prefect server that knows one run, of another machine, and may be away."""

    def __init__(self) -> None:
        self.run = {"id": "one", "infrastructure_pid": "1", "parent_task_run_id": None, "state_type": "RUNNING"}
        self.heartbeat, self.is_away, self.now = "first", False, 0.0

    def ask(self, _: Path, __: str, path: str, document: Any = None) -> Any:
        if self.is_away:
            raise httpx.ConnectError("away")
        if path == "/flow_runs/filter":
            wanted = document.get("flow_runs", {}).get("state", {"type": {"any_": ["RUNNING"]}})["type"]["any_"]
            return [self.run] if self.run["state_type"] in wanted else []
        if path == "/events/filter":
            return {"events": [{"id": self.heartbeat}] if self.heartbeat else []}
        if path.endswith("/set_state"):
            self.run["state_type"] = document["state"]["type"]
            return {"status": "ACCEPT"}
        return self.run


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(api, "ask", server.ask)
    monkeypatch.setattr(time, "monotonic", lambda: server.now)
    return server


def looked(watch: Watch, server: Server, seconds: int) -> list[str]:
    found = []
    for _ in range(seconds // 10):
        server.now += 10
        found += watch.look()
    return found


def test_a_run_elsewhere_is_silent_only_while_the_server_listens(server: Server, tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert looked(watch, server, 80) == []
    server.is_away = True
    assert looked(watch, server, 300) == []
    server.is_away = False
    assert looked(watch, server, 90) == []
    server.heartbeat = "second"
    assert looked(watch, server, 90) == []
    assert looked(watch, server, 30) == ["one"]
    assert looked(watch, server, 300) == []


def test_a_lost_run_that_was_being_cancelled_is_cancelled_and_not_retried(server: Server, tmp_path: Path) -> None:
    server.run["state_type"] = "CANCELLING"
    assert looked(Watch(tmp_path), server, 110) == ["one"]
    assert server.run["state_type"] == "CANCELLED"


def test_a_machine_that_slept_takes_no_run_for_lost(server: Server, tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert looked(watch, server, 80) == []
    server.now += 3600
    assert looked(watch, server, 90) == []


def test_a_run_that_sends_no_heartbeats_misses_none(server: Server, tmp_path: Path) -> None:
    server.heartbeat = ""
    assert looked(Watch(tmp_path), server, 600) == []


def test_a_called_flow_lives_in_its_callers_process(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "infra.stack.watch.variables_of", lambda pid: {"PREFECT__FLOW_RUN_ID": "one"} if pid == 7 else {}
    )
    watch = Watch(tmp_path)
    child = {"id": "two", "infrastructure_pid": None, "parent_task_run_id": "task"}
    for caller, lives in (("7", True), ("8", False), (None, False)):
        server.run["infrastructure_pid"] = caller
        assert watch._lives(child) is lives
        assert watch._lives(server.run) is lives


def test_where_no_stack_was_made_the_environment_names_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, whose watch has variables and no home."""
    asked: list[tuple[str, tuple[str, str]]] = []

    def request(_: str, url: str, auth: tuple[str, str], **__: Any) -> httpx.Response:
        asked.append((url, auth))
        return httpx.Response(200, json=[], request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.setenv("PREFECT_API_URL", "http://server:4200/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "cpl:login")
    assert Watch(tmp_path).look() == []
    assert asked == [("http://server:4200/api/flow_runs/filter", ("cpl", "login"))]

"""The local stack: up, up again, a part lost, a recycled pid, a flow run, down."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from infra.cli import app
from infra.process import Part
from infra.stack import SEARCHER, SERVER, STORE, WORKER, Stack, StackError

ROOT = Path(__file__).parents[2]

ROUND = """
import os, subprocess, sys, time
from prefect import flow
from flows.words import WORD

@flow(name="cpl")
def cpl(seconds: float = 0) -> str:
    if seconds:
        child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
        open("child.pid", "w").write(str(child.pid))
        child.wait()
    open("seen.txt", "w").write(f"{WORD} {os.environ['AWS_ENDPOINT_URL']} {os.getcwd()}")
    return WORD
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with our prefect.yaml and two small flows."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copy(ROOT / "prefect.yaml", root)
    (root / "flows").mkdir()
    (root / "flows/__init__.py").touch()
    (root / "flows/words.py").write_text('WORD = "sibling"\n')
    (root / "flows/round.py").write_text(ROUND)
    (root / "flows/search.py").write_text(ROUND.replace("cpl(", "cpl_search(").replace('"cpl"', '"cpl-search"'))
    (root / "flows/campaign.py").write_text(ROUND.replace("cpl(", "cpl_campaign(").replace('"cpl"', '"cpl-campaign"'))
    return root


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    """A running stack; the tests below share it, in their order, and the last one ends it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "AWS_", "CPL_"))]:
            patch.delenv(name)
        stack = Stack(repository / ".cpl", repository)
        try:
            stack.up(print)
            yield stack
        finally:
            stack.down(print)


def pids(stack: Stack) -> dict[str, int | None]:
    return {part.name: part.pid for part in stack.status()}


def in_repository(stack: Stack, *command: str) -> subprocess.CompletedProcess[str]:
    """What a user types in the repository's root: nothing of the stack is in this environment."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=stack.root, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.integration
def test_up_brings_every_part_up_and_keeps_its_keys_to_itself(stack: Stack) -> None:
    assert {part.name: part.state for part in stack.status()} == dict.fromkeys(
        (SERVER, STORE, WORKER, SEARCHER), "running"
    )
    assert stat.S_IMODE((stack.home / "stack.env").stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.home / "s3" / "identities.json").stat().st_mode) == 0o600
    addresses = {
        connection.laddr.ip
        for part in stack.parts.values()
        if (process := part.process()) is not None
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.integration
def test_up_again_changes_nothing(stack: Stack) -> None:
    before, environment = pids(stack), (stack.home / "stack.env").read_text()
    said: list[str] = []
    begun = time.monotonic()
    Stack(stack.home, stack.root).up(said.append)
    assert time.monotonic() - begun < 5
    assert pids(stack) == before
    assert (stack.home / "stack.env").read_text() == environment
    assert said == []


@pytest.mark.integration
def test_a_flow_runs_from_the_root_with_the_environment_of_the_stack(stack: Stack) -> None:
    done = in_repository(stack, "prefect", "deployment", "run", "cpl/round", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr + stack.parts[WORKER].log_tail(60)
    assert (stack.root / "seen.txt").read_text() == f"sibling {stack.store} {stack.root}"


@pytest.mark.integration
def test_up_restarts_a_part_that_was_killed(stack: Stack) -> None:
    before = pids(stack)
    for name in (STORE, WORKER):
        process = stack.parts[name].process()
        assert process is not None
        process.kill()
        process.wait()
    assert {part.name: part.state for part in stack.status()} == {
        SERVER: "running",
        STORE: "stopped",
        WORKER: "stopped",
        SEARCHER: "running",
    }
    said: list[str] = []
    stack.up(said.append)
    after = pids(stack)
    assert all(part.state == "running" for part in stack.status())
    assert after[SERVER] == before[SERVER]
    assert after[STORE] != before[STORE]
    assert said == ["S3 server: starting", "S3 server: ready", "worker: starting", "worker: ready"]


@pytest.mark.integration
def test_status_is_a_table_or_json(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_HOME", str(stack.home))
    table = CliRunner().invoke(app, ["status"])
    assert table.exit_code == 0
    assert f"UI: {stack.ui}" in table.stdout
    document = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert document["ui"] == stack.ui
    assert [part["state"] for part in document["parts"]] == ["running"] * 4


@pytest.mark.integration
def test_a_flow_that_cannot_be_imported_is_told_and_a_mended_one_is_deployed(stack: Stack) -> None:
    campaign = stack.root / "flows/campaign.py"
    good = campaign.read_text()
    campaign.write_text("import a_module_that_is_not_there\n" + good)
    with pytest.raises(StackError, match="a_module_that_is_not_there"):
        stack.up(print)
    campaign.write_text(good + "\n")
    said: list[str] = []
    stack.up(said.append)
    assert said == ["deployments: writing", "deployments: ready"]


def start_long_flow(stack: Stack) -> psutil.Process:
    """The child that a flow run waits for."""
    child_pid = stack.root / "child.pid"
    child_pid.unlink(missing_ok=True)
    started = in_repository(stack, "prefect", "deployment", "run", "cpl/round", "--param", "seconds=300")
    assert started.returncode == 0, started.stdout + started.stderr
    deadline = time.monotonic() + 60
    while not child_pid.exists() or not child_pid.read_text():
        assert time.monotonic() < deadline, stack.parts[WORKER].log_tail(60)
        time.sleep(0.1)
    return psutil.Process(int(child_pid.read_text()))


@pytest.mark.integration
def test_up_gives_changed_variables_to_the_workers_when_no_flow_runs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, child = pids(stack), start_long_flow(stack)
    monkeypatch.setenv("HF_TOKEN", "a-token")
    said: list[str] = []
    stack.up(said.append)
    assert len(said) == 1
    assert "keep the old variables" in said[0]
    assert "`cpl down`, `cpl up`" in said[0]
    assert pids(stack) == before

    child.kill()
    deadline = time.monotonic() + 60
    while stack._is_busy():
        assert time.monotonic() < deadline, stack.parts[WORKER].log_tail(60)
        time.sleep(0.1)
    said.clear()
    stack.up(said.append)
    assert "start anew" in said[0]
    assert sorted(said[1:]) == sorted(
        f"{name}: {what}" for name in (WORKER, SEARCHER) for what in ("starting", "ready")
    )
    for name in (WORKER, SEARCHER):
        process = stack.parts[name].process()
        assert process is not None
        assert process.environ()["HF_TOKEN"] == "a-token"
    after = pids(stack)
    assert (after[SERVER], after[STORE]) == (before[SERVER], before[STORE])
    assert "a-token" not in (stack.home / "stack.json").read_text()

    said.clear()
    monkeypatch.setenv("CPL_HOME", str(stack.home))
    stack.up(said.append)
    assert said == [], "the same variables, and the same home by another name"


@pytest.mark.integration
def test_down_ends_the_worker_with_the_children_of_its_flows(stack: Stack) -> None:
    children = [start_long_flow(stack)]
    children += [process for part in stack.parts.values() if (process := part.process()) is not None]
    stack.down(print)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in children)
    assert [part.state for part in stack.status()] == ["stopped"] * 4
    said: list[str] = []
    stack.down(said.append)
    assert said == [f"{name}: was not running" for name in (WORKER, SEARCHER, SERVER, STORE)]


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    part = Part("worker", tmp_path)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        part.pid_file.parent.mkdir()
        part.pid_file.write_text(json.dumps({"pid": bystander.pid, "started": 1.0}))
        assert part.process() is None
        assert part.end() is False
        assert bystander.poll() is None
        bystander.kill()


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    part = Part("stubborn", tmp_path)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    part.start([sys.executable, "-c", stubborn], os.environ, tmp_path)
    while "on" not in part.log_tail():
        time.sleep(0.05)
    assert part.end(patience=0.2) is True
    assert part.process() is None


def test_a_port_that_somebody_else_took_is_named(tmp_path: Path) -> None:
    (tmp_path / "prefect.yaml").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (tmp_path / ".cpl").mkdir()
        ports = dict.fromkeys(("prefect", "s3", "master", "volume", "filer"), port)
        (tmp_path / ".cpl/stack.json").write_text(json.dumps({"ports": ports}))
        with pytest.raises(StackError, match=f"port {port} of 127.0.0.1 is taken"):
            Stack(tmp_path / ".cpl", tmp_path).up(print)


def test_up_elsewhere_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="root of the repository"):
        Stack(tmp_path / ".cpl", tmp_path).up(print)


def test_a_prefect_toml_of_the_user_is_kept(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "https://prefect.example/api"\n')
    stack = Stack(tmp_path / ".cpl", tmp_path)
    stack.home.mkdir()
    stack._settle()
    assert "prefect.example" in (tmp_path / "prefect.toml").read_text()

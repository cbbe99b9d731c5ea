"""Flows of one home share its engines: the last one to leave stops them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.desk.cli import app
from infra.engine import tenant
from infra.engine.server import LocalEngine
from infra.environment import Environment
from infra.stack.process import birth


@pytest.fixture(params=["engine", "value/engine"])
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is recorded as an engine of the home; what matters here is whether it is ended."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as process:
        born = birth(process.pid) or ""
        started = LocalEngine(pid=process.pid, born=born, url="http://127.0.0.1:1", key="", signature="")
        (tmp_path / request.param).mkdir(parents=True)
        (tmp_path / request.param / "engine.json").write_text(started.model_dump_json())
        yield process
        process.kill()


def test_the_last_tenant_stops_the_engine(engine: subprocess.Popen[bytes], tmp_path: Path) -> None:
    home = Environment(home=tmp_path)
    with tenant(home):
        with tenant(home):
            pass
        assert engine.poll() is None
    assert engine.poll() is not None


def test_down_ends_every_engine_that_a_killed_flow_left(
    engine: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value model's as the policy's: a flow that a terminal started carries no mark of the stack."""
    monkeypatch.setenv("CPL_HOME", str(tmp_path))
    told = CliRunner().invoke(app, ["down"])
    assert told.exit_code == 0, told.output
    assert "left running" not in told.output
    assert engine.poll() is not None


def test_a_killed_tenant_is_no_tenant(engine: subprocess.Popen[bytes], tmp_path: Path) -> None:
    enter = "import sys, time; from pathlib import Path; from infra.engine import tenant; "
    enter += "from infra.environment import Environment; held = tenant(Environment(home=Path(sys.argv[1]))); "
    enter += "held.__enter__(); print('in', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", enter, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with tenant(Environment(home=tmp_path)):
            pass
        assert engine.poll() is None
        other.kill()
    with tenant(Environment(home=tmp_path)):
        pass
    assert engine.poll() is not None

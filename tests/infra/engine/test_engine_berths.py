"""Which engine processes live and die when a home's engines change places; the processes here only sleep."""

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.engine.client import Engine
from infra.engine.launch import launch_signature
from infra.engine.model_folder import ModelFolder
from infra.engine.reply import EngineError
from infra.engine.server import LocalEngine, _port, end_local_engine, end_local_engines, end_of, local_engine
from infra.engine.serving import _serve_locally
from infra.engine.supervision import RESTARTS, supervised
from infra.environment import Environment
from infra.stack.process import LOG_MIB, birth
from infra.store import Ref
from tasks.language.format import PLANS
from tasks.running.prompts import Prompts
from tasks.running.served import serve
from tasks.running.workplace import Workplace

SLOW = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), exit())); print(flush=True); "
"""What ends some time after it was asked to, as an engine does that lets go of its GPU."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalEngine]]:
    """Starts a process that is recorded as the engine of a berth."""
    processes = []

    def started(berth: int, signature: str = "", code: str = "", home: Path = tmp_path) -> LocalEngine:
        command = [sys.executable, "-c", f"{code or 'print(flush=True); import time; '}time.sleep(60)"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        processes.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        engine = LocalEngine(
            pid=process.pid, born=birth(process.pid) or "", url="http://127.0.0.1:1", key="k", signature=signature
        )
        own = home / "engine" / (str(berth) if berth else "")
        own.mkdir(parents=True, exist_ok=True)
        (own / "engine.json").write_text(engine.model_dump_json())
        return engine

    yield started
    for process in processes:
        with process:
            process.kill()


Starts = Callable[[Callable[[], LocalEngine]], None]


@pytest.fixture
def at_each_start(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Has something else done wherever an engine would be started; it counts as proven, and nobody watches over it."""
    module = sys.modules[_serve_locally.__module__]  # a function has its name in the package

    @asynccontextmanager
    async def within(*_: Any, **__: Any) -> Any:
        yield None

    async def proves(*_: Any) -> None: ...

    monkeypatch.setattr(ModelFolder, "read", lambda _: folder)
    for name, double in (("_client", within), ("supervised", within), ("prove", proves)):
        monkeypatch.setattr(module, name, double)

    def told(starts: Callable[[], LocalEngine]) -> None:
        async def instead(*_: Any, **__: Any) -> LocalEngine:
            return starts()

        monkeypatch.setattr(module, "start_local_engine", instead)

    return told


def test_no_engine_starts_on_a_gpu_that_another_still_has(
    folder: ModelFolder,
    start: Callable[..., LocalEngine],
    at_each_start: Starts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The GPUs are divided anew: what another berth's engine held must be free before the first one starts."""
    alone = Environment(home=tmp_path, device="cuda", engine_urls=[])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    before = [start(berth, launch_signature(folder, alone, berth), SLOW) for berth in range(4)]
    alive: list[int] = []

    def starts() -> LocalEngine:
        alive.append(sum(one.is_alive for one in before))
        return before[0]

    at_each_start(starts)
    asyncio.run(_serve_locally(folder, alone.model_copy(update={"engine_gpus": 2}), lambda message: None))
    assert alive == [0, 0]


@pytest.mark.parametrize(("device", "is_in_the_way"), [("cuda", True), ("cpu", False)])
def test_the_value_models_engines_leave_a_gpu_that_the_policy_takes_alone(
    device: str,
    is_in_the_way: bool,
    start: Callable[..., LocalEngine],
    at_each_start: Starts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A search with V left them their half of the memory; what is evaluated next wants all of it."""
    for name, value in {"CPL_HOME": str(tmp_path), "CPL_DEVICE": device, "CUDA_VISIBLE_DEVICES": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Prompts, "read", lambda *_: None)
    judging = start(0, home=tmp_path / "value")
    alive: list[bool] = []

    def starts() -> LocalEngine:
        alive.append(judging.is_alive)
        return judging

    at_each_start(starts)
    store = SimpleNamespace(folder=lambda *_: tmp_path)
    workplace = cast(Workplace, SimpleNamespace(store=store, log=logging.getLogger()))
    model = Ref(uri="s3://cpl/model/manifest.json", sha256="0" * 64, rows=0)

    async def story() -> None:
        with suppress(AttributeError):  # there is no client here that could say of how many engines
            async with serve(workplace, model, PLANS):
                pass

    asyncio.run(story())
    assert alive == [not is_in_the_way]


def test_all_engines_of_a_home_end_whatever_else_is_in_it(start: Callable[..., LocalEngine], tmp_path: Path) -> None:
    first, second, third = (start(berth) for berth in range(3))
    (tmp_path / "engine" / "kept").mkdir()
    (tmp_path / "engine" / "kept" / "engine.json").write_text(first.model_dump_json())
    home = Environment(home=tmp_path)
    end_local_engines(home, but=[0])
    assert (first.is_alive, second.is_alive, third.is_alive) == (True, False, False)
    end_local_engines(home)
    assert not first.is_alive


def test_the_end_of_an_engine_forgets_no_other_that_was_started_since(
    start: Callable[..., LocalEngine], tmp_path: Path
) -> None:
    """A restart that is cancelled goes on ending the old engine in its thread, while another flow starts the next."""
    home = Environment(home=tmp_path, device="cpu")
    start(0, code=SLOW)

    async def story() -> LocalEngine:
        ending = asyncio.create_task(asyncio.to_thread(end_local_engine, home))
        await asyncio.sleep(0.2)
        ending.cancel()
        return start(0)

    fresh = asyncio.run(story())  # which waits for its threads
    assert local_engine(home) == fresh


@pytest.mark.parametrize(("problem", "why"), [(EngineError("no memory"), f"{RESTARTS} restarts"), (OSError(28), "28")])
def test_an_engine_that_is_given_up_is_told_by_its_name(
    problem: Exception, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others go on, so that no tree fails that would tell."""
    told: list[str] = []
    given_up: list[tuple[str, str]] = []
    monkeypatch.setattr(Engine, "pause", lambda *_: None)
    monkeypatch.setattr(Engine, "give_up", lambda self, *what: given_up.append(what))
    engine = object.__new__(Engine)
    dead = LocalEngine(pid=2**22 + 1, born="", url="http://127.0.0.1:1", key="k", signature="")
    (tmp_path / "engine" / "1").mkdir(parents=True)
    (tmp_path / "engine" / "1" / "engine.log").write_text("ValueError: Free memory is less than desired\n")

    async def restart() -> LocalEngine:
        raise problem

    async def story() -> None:
        home = Environment(home=tmp_path, device="cpu", engines=2)
        async with supervised(engine, dead, restart, home, 1, told.append), asyncio.timeout(5.0):
            while not given_up:
                await asyncio.sleep(0.01)

    asyncio.run(story())
    assert told[0] == "engine 2 of 2 died (ValueError: Free memory is less than desired); starting it again, 1 of 3"
    ((address, reason),) = given_up
    assert address == dead.url
    assert reason.startswith("engine 2 of 2 died, ")
    assert told[-1].startswith("engine 2 of 2 is given up, ")
    assert why in reason
    assert why in told[-1]


def test_the_log_of_an_engine_at_work_starts_anew_when_it_is_large(
    start: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("infra.engine.server.PULSE_SECONDS", 0.0)
    monkeypatch.setattr("infra.engine.server.WATCH_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as door:  # it listens and says nothing: it is busy
        monkeypatch.setattr("infra.engine.server.ANSWER_SECONDS", 0.05)
        engine = start(0).model_copy(update={"url": f"http://127.0.0.1:{door.getsockname()[1]}"})
        log = tmp_path / "engine" / "engine.log"
        log.write_bytes(b"x" * (LOG_MIB << 20) + b"last\n")

        async def story() -> None:
            watching = asyncio.create_task(end_of(engine, Environment(home=tmp_path, device="cpu")))
            async with asyncio.timeout(5.0):
                while log.stat().st_size:
                    await asyncio.sleep(0.01)
            watching.cancel()

        asyncio.run(story())
    assert log.with_name("engine.previous.log").read_bytes().endswith(b"last\n")


def test_an_engines_port_is_nobody_elses_while_it_starts() -> None:
    """Its server opens it long after it was found free, as vLLM does: it may be bound before, and listens first."""
    with _port(None) as number:
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", number))
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", number))
            server.listen()
            with socket.create_connection(("127.0.0.1", number), timeout=5):
                server.accept()[0].close()
            with pytest.raises(EngineError, match=f"its port {number} again: .*in use"), _port(number):
                pass

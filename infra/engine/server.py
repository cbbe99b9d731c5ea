"""The local engine: one vLLM server in a process and an environment of its own, on loopback (design D1, section 4).

It outlives the flow that started it: `<home>/engine/engine.json` says where it is and what it was built for, so a
retried flow attaches to it instead of waiting for a new one. Its output is in `<home>/engine/engine.log`, that of the
one before in `engine.previous.log`. Start, watch, swap of weights and end are in one file: they share its state.
"""

import asyncio
import fcntl
import re
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from pydantic import BaseModel, Field, ValidationError

from infra.contract import disk
from infra.engine.connections import bearer
from infra.engine.launch import arguments, environment, launch_signature
from infra.engine.model_folder import ModelFolder
from infra.engine.reply import EngineError
from infra.environment import Environment
from infra.stack.process import birth, session

START_SECONDS = 900.0
STOP_SECONDS = 20.0
PROGRESS_SECONDS = 5.0
WATCH_SECONDS = 0.5
PULSE_SECONDS = 5.0
ANSWER_SECONDS = 10.0
HANG_SECONDS = 300.0
"""Without a sign of life after which an engine hangs. The longest step on a slow CPU takes a fraction of it."""

_COUNTERS = re.compile(r"^vllm:(num_requests_running|iteration_tokens_total_count)\{[^}]*\} (\S+)", re.MULTILINE)

Progress = Callable[[str], None]


class LocalEngine(BaseModel):
    """A started engine, as kept in engine.json. `born`: its process's birth, which makes the pid unambiguous.

    `key`: what it asks of whoever wants something. `signature`: of the model folder (architecture and tokenizer), with
    the arguments that can not change in place.
    """

    pid: int
    born: str
    url: str
    key: str = Field(repr=False)
    signature: str

    @property
    def is_alive(self) -> bool:
        return birth(self.pid) == self.born


def local_engine(here: Environment) -> LocalEngine | None:
    """The engine that runs in this home, if one does."""
    engine = _recorded(here)
    return engine if engine and engine.is_alive else None


async def start_local_engine(
    folder: ModelFolder, here: Environment, progress: Progress, before: LocalEngine | None = None
) -> LocalEngine:
    """Starts an engine on this model and waits until it answers. Raises EngineError with the reason from its log.

    The caller holds the engine's lock. `before`: whose address and key it takes over; default: new ones.
    """
    python = here.engine_python.absolute()
    if not python.exists():
        raise EngineError(f"no engine environment at {python}: `make install` makes it, or set CPL_ENGINE_PYTHON")
    home = _home(here)
    home.mkdir(parents=True, exist_ok=True)
    log = _log(here)
    if log.exists():
        log.replace(home / "engine.previous.log")
    url, key = (before.url, before.key) if before else (f"http://127.0.0.1:{_free_port()}", secrets.token_urlsafe(32))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "-m", "vllm.entrypoints.openai.api_server", *arguments(folder, here, httpx.URL(url))],
            env=environment(folder, here, key),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        engine = LocalEngine(
            pid=process.pid,
            born=birth(process.pid) or "",
            url=url,
            key=key,
            signature=launch_signature(folder, here),
        )
        disk.write(_state(here), engine.model_dump_json(indent=2), mode=0o600)
    except Exception:
        process.kill()  # nobody would find it to end it
        process.wait()
        raise
    started = time.monotonic()
    said = 0.0
    while not await answers(engine):
        seconds = time.monotonic() - started
        if not engine.is_alive:
            raise EngineError(f"the engine did not start with {folder.path}: {_reason(log)} (all of it: {log})")
        if seconds > START_SECONDS:
            end_local_engine(here)
            raise EngineError(f"the engine was not ready after {seconds:.0f} s: {_reason(log)} (all of it: {log})")
        if seconds >= said + PROGRESS_SECONDS:
            said = seconds
            progress(f"engine starting, {seconds:.0f} s")
        await asyncio.sleep(0.5)
    progress(f"engine ready after {time.monotonic() - started:.0f} s at {engine.url}")
    return engine


async def answers(engine: LocalEngine) -> bool:
    """Whether the engine says that it is well."""
    response = await _get(engine, "health")
    return response is not None and response.status_code == 200


async def end_of(engine: LocalEngine, here: Environment) -> str:
    """Waits until the engine ends or hangs, and says why it did: when its core dies, its server ends by itself."""
    asked = alive = time.monotonic()
    sign: float | None = None
    while engine.is_alive and await _listens(engine):
        if time.monotonic() - asked > PULSE_SECONDS:
            last, asked = await _sign_of_life(engine), time.monotonic()
            if last is not None and last != sign:
                alive, sign = asked, last
            if asked - alive > HANG_SECONDS:
                return f"it hung: {HANG_SECONDS:.0f} s without a sign of life"
        await asyncio.sleep(WATCH_SECONDS)
    return " | ".join(_errors(_log(here))) or "its log names no error: it was killed, for want of memory perhaps"


async def _sign_of_life(engine: LocalEngine) -> float | None:
    """A number that changes as long as the engine gets on: its steps or, while idle, the time. None: silence."""
    response = await _get(engine, "metrics")
    if response is None:
        return None
    counted = {name: float(number) for name, number in _COUNTERS.findall(response.text)}
    return counted.get("iteration_tokens_total_count") if counted.get("num_requests_running") else time.monotonic()


async def _get(engine: LocalEngine, path: str) -> httpx.Response | None:
    """None: it did not answer in time."""
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS, headers=bearer(engine.key)) as http:
        with suppress(httpx.RequestError):
            return await http.get(f"{engine.url}/{path}")
    return None


async def _listens(engine: LocalEngine) -> bool:
    """Whether its port is open: a server that ends has closed it. One that is only busy has not."""
    url = httpx.URL(engine.url)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(url.host, url.port)
    except ConnectionError:
        return False
    except OSError:  # a timeout, or a want of this process's own: neither says anything of the engine
        return True
    writer.close()
    return True


def stop_local_engine(here: Environment) -> bool:
    """Stops this home's engine and all of its processes. False: another flow is using it, so it was left alone."""
    if not _home(here).exists():
        return True
    with _lock_file(here) as is_ours:
        if is_ours:
            end_local_engine(here)
        return is_ours


@contextmanager
def engine_stopped(here: Environment, progress: Progress) -> Iterator[None]:
    """This home without its engine, as long as the context lasts: its memory is needed. Waits until no flow uses it."""
    _home(here).mkdir(parents=True, exist_ok=True)
    has_said = False
    while True:
        with _lock_file(here) as is_ours:
            if is_ours:
                end_local_engine(here)
                yield
                return
        if not has_said:
            progress("waiting for the engine, another flow is using it")
            has_said = True
        time.sleep(0.5)


def end_local_engine(here: Environment) -> None:
    """Stops the engine; the caller holds its lock."""
    engine = _recorded(here)
    if engine is None:
        return
    processes = session(engine.pid, engine.born)  # it leads one: workers that outlived it are found as well
    if engine.is_alive:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(engine.pid).terminate()
    _, left = psutil.wait_procs(processes, timeout=STOP_SECONDS if engine.is_alive else 0)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=STOP_SECONDS)
    _state(here).unlink(missing_ok=True)


@asynccontextmanager
async def engine_to_ourselves(here: Environment, progress: Progress) -> AsyncIterator[None]:
    """Waits until no other flow uses this home's engine: two would swap the weights under each other's requests."""
    _home(here).mkdir(parents=True, exist_ok=True)
    has_said = False
    while True:
        with _lock_file(here) as is_ours:
            if is_ours:
                yield
                return
        if not has_said:
            progress("waiting for the engine, another flow is using it")
            has_said = True
        await asyncio.sleep(0.5)


@contextmanager
def _lock_file(here: Environment) -> Iterator[bool]:
    # The kernel frees the lock when its holder dies. The engine does not inherit it (close-on-exec).
    with (_home(here) / "engine.lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _home(here: Environment) -> Path:
    return here.home.absolute() / "engine"


def _state(here: Environment) -> Path:
    return _home(here) / "engine.json"


def _log(here: Environment) -> Path:
    return _home(here) / "engine.log"


def _recorded(here: Environment) -> LocalEngine | None:
    try:
        return LocalEngine.model_validate_json(_state(here).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _reason(log: Path) -> str:
    """The errors that the log names, else its end."""
    return " | ".join(_errors(log) or _lines(log)[-10:]) or "it wrote nothing"


def _errors(log: Path) -> list[str]:
    """What the log calls an error, each once. The root cause comes first; what follows only repeats it."""
    messages = [re.sub(r"^(\(.*?\) )?(ERROR \S+ \S+ \[.*?\] )?", "", line) for line in _lines(log)]
    return list(dict.fromkeys(message for message in messages if re.match(r"[\w.]*(Error|Exception): ", message)))


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]

"""A local engine: one vLLM server in a process and an environment of its own, on loopback (design D1, section 4).

It outlives the flow that started it: `<home>/engine/engine.json` says where it is and what it was built for, so a
retried flow attaches to it instead of waiting for a new one. Its output is in `<home>/engine/engine.log`, that of the
one before in `engine.previous.log`. Of several engines of a home (`launch.berths`) the second has the folder
`<home>/engine/1`. Long, for start, swap, watch and end are the life of one process.

Of what ends engines, `end_…` is for who holds their lock. `stop_…` takes it, and does nothing where a flow has it.
`engines_gone` waits for it, and keeps it. All are of one home; `infra.engine.tenancy` has the same for the policy's and
the value model's together.
"""

import asyncio
import fcntl
import re
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Container, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from pydantic import ValidationError

from infra.certificates import certificates
from infra.contract import disk
from infra.contract.engine_file import NAME, EngineFile
from infra.engine.connections import bearer
from infra.engine.launch import SERVER, arguments, berths, environment, launch_signature
from infra.engine.model_folder import ModelFolder
from infra.engine.reply import EngineError
from infra.environment import Environment
from infra.stack.process import birth, session, trim

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


class LocalEngine(EngineFile):
    """A started engine, as kept in engine.json."""

    @property
    def is_alive(self) -> bool:
        return birth(self.pid) == self.born


def local_engine(here: Environment, berth: int = 0) -> LocalEngine | None:
    """The engine that runs in this home, at this berth, if one does."""
    engine = _recorded(_folder(here, berth))
    return engine if engine and engine.is_alive else None


async def start_local_engine(
    folder: ModelFolder,
    here: Environment,
    progress: Progress,
    berth: int = 0,
    *,
    key: str | None = None,
    before: LocalEngine | None = None,
) -> LocalEngine:
    """Starts an engine on this model and waits until it answers. Raises EngineError with the reason from its log.

    The caller holds the engines' lock. `before`: whose address and key it takes over. `key`: default: a new one.
    """
    python = here.engine_python.absolute()
    if not python.exists():
        raise EngineError(f"no engine environment at {python}: `make install` makes it, or set CPL_ENGINE_PYTHON")
    own = _folder(here, berth)
    own.mkdir(parents=True, exist_ok=True)
    log = _log(own)
    if log.exists():
        log.replace(own / "engine.previous.log")
    key = before.key if before else key or secrets.token_urlsafe(32)
    with _port(httpx.URL(before.url).port if before else None) as port:
        url = f"http://127.0.0.1:{port}"
        return await _started(folder, here, progress, berth, url, key)


async def _started(
    folder: ModelFolder, here: Environment, progress: Progress, berth: int, url: str, key: str
) -> LocalEngine:
    own, python = _folder(here, berth), here.engine_python.absolute()
    log = _log(own)
    with log.open("ab") as output:  # there is none: it was moved. Appended to, it may be trimmed
        process = subprocess.Popen(
            [str(python), "-m", SERVER, *arguments(folder, here, httpx.URL(url))],
            env=environment(folder, here, key, berth),
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
            signature=launch_signature(folder, here, berth),
        )
        disk.write(_state(own), engine.model_dump_json(indent=2), mode=0o600)
    except Exception:
        process.kill()  # nobody would find it to end it
        process.wait()
        raise
    name, started = name_of(here, berth), time.monotonic()
    said = 0.0
    while not await answers(engine):
        seconds = time.monotonic() - started
        if not engine.is_alive:
            raise EngineError(f"{name} did not start with {folder.path}: {_reason(log)} (all of it: {log})")
        if seconds > START_SECONDS:
            end_local_engine(here, berth)
            raise EngineError(f"{name} was not ready after {seconds:.0f} s: {_reason(log)} (all of it: {log})")
        if seconds >= said + PROGRESS_SECONDS:
            said = seconds
            progress(f"{name} is starting, {seconds:.0f} s")
        await asyncio.sleep(0.5)
    progress(f"{name} is ready after {time.monotonic() - started:.0f} s at {engine.url}")
    return engine


async def answers(engine: LocalEngine) -> bool:
    """Whether the engine says that it is well."""
    response = await _get(engine, "health")
    return response is not None and response.status_code == 200


async def end_of(engine: LocalEngine, here: Environment, berth: int = 0) -> str:
    """Waits until the engine ends or hangs, and says why it did: when its core dies, its server ends by itself.

    Meanwhile its log is kept small.
    """
    asked = alive = time.monotonic()
    sign: float | None = None
    while engine.is_alive and await _listens(engine):
        if time.monotonic() - asked > PULSE_SECONDS:
            trim(_log(_folder(here, berth)))
            last, asked = await _sign_of_life(engine), time.monotonic()
            if last is not None and last != sign:
                alive, sign = asked, last
            if asked - alive > HANG_SECONDS:
                return f"it hung: {HANG_SECONDS:.0f} s without a sign of life"
        await asyncio.sleep(WATCH_SECONDS)
    return (
        " | ".join(_errors(_log(_folder(here, berth))))
        or "its log names no error: it was killed, for want of memory perhaps"
    )


async def _sign_of_life(engine: LocalEngine) -> float | None:
    """A number that changes as long as the engine gets on: its steps or, while idle, the time. None: silence."""
    response = await _get(engine, "metrics")
    if response is None:
        return None
    counted = {name: float(number) for name, number in _COUNTERS.findall(response.text)}
    return counted.get("iteration_tokens_total_count") if counted.get("num_requests_running") else time.monotonic()


async def _get(engine: LocalEngine, path: str) -> httpx.Response | None:
    """None: it did not answer in time."""
    async with httpx.AsyncClient(
        headers=bearer(engine.key), timeout=ANSWER_SECONDS, trust_env=False, verify=certificates()
    ) as http:
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


def stop_local_engines(here: Environment) -> bool:
    """Stops this home's engines and all of their processes. False: another flow is using them, so they were left."""
    if not _home(here).exists():
        return True
    with _lock_file(here) as is_ours:
        if is_ours:
            end_local_engines(here)
        return is_ours


@contextmanager
def engines_gone(here: Environment, progress: Progress) -> Iterator[None]:
    """This home without its engines, as long as the context lasts: their memory is needed. Waits until no flow uses
    them."""
    _home(here).mkdir(parents=True, exist_ok=True)
    has_said = False
    while True:
        with _lock_file(here) as is_ours:
            if is_ours:
                end_local_engines(here)
                yield
                return
        if not has_said:
            progress("waiting for the engine, another flow is using it")
            has_said = True
        time.sleep(0.5)


def end_local_engines(here: Environment, but: Container[int] = ()) -> None:
    """Stops this home's engines, also those that its settings do not know any more, apart from those of some berths;
    the caller holds their lock."""
    others = [int(state.parent.name) for state in _home(here).glob(f"*/{NAME}") if state.parent.name.isdecimal()]
    ending = [berth for berth in (0, *others) if berth not in but]
    for berth in ending:  # all are asked before any is waited for
        if engine := local_engine(here, berth):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(engine.pid).terminate()
    for berth in ending:
        end_local_engine(here, berth)


def end_local_engine(here: Environment, berth: int = 0) -> None:
    """Stops one engine; the caller holds the engines' lock."""
    own = _folder(here, berth)
    engine = _recorded(own)
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
    # Where a thread ends it and nobody waits any more, the next may have been started meanwhile.
    if _recorded(own) == engine:
        _state(own).unlink(missing_ok=True)


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


def _folder(here: Environment, berth: int) -> Path:
    return _home(here) / str(berth) if berth else _home(here)


def name_of(here: Environment, berth: int) -> str:
    """What messages call an engine."""
    places = berths(here)
    where = f" (GPU {', '.join(places[berth])})" if places[berth] else ""
    return f"engine {berth + 1} of {len(places)}{where}" if len(places) > 1 else "the engine"


def _state(own: Path) -> Path:
    return own / NAME


def _log(own: Path) -> Path:
    return own / "engine.log"


def _recorded(own: Path) -> LocalEngine | None:
    try:
        return LocalEngine.model_validate_json(_state(own).read_text())
    except (FileNotFoundError, ValidationError):
        return None


@contextmanager
def _port(number: int | None) -> Iterator[int]:
    """A free port of loopback, or this one, which no other program finds free as long as the context lasts: an engine
    opens its own after ten seconds and more. It can, for both allow it (SO_REUSEADDR) and this one never listens.

    Raises EngineError: somebody has this one.
    """
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(("127.0.0.1", number or 0))
        except OSError as problem:
            raise EngineError(f"the engine cannot have its port {number} again: {problem.strerror}") from problem
        held: int = place.getsockname()[1]
        yield held


def _reason(log: Path) -> str:
    """The errors that the log names, else its end."""
    return " | ".join(_errors(log) or _lines(log)[-10:]) or "it wrote nothing"


def _errors(log: Path) -> list[str]:
    """What the log calls an error, each once. The root cause comes first; what follows only repeats it."""
    messages = [re.sub(r"^(\(.*?\) )?(ERROR \S+ \S+ \[.*?\] )?", "", line) for line in _lines(log)]
    return list(dict.fromkeys(message for message in messages if re.match(r"[\w.]*(Error|Exception): ", message)))


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]

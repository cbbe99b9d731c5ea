"""The local engine: one vLLM server in a process and an environment of its own, on loopback (design D1, section 4).

It outlives the flow that started it: `<home>/engine/engine.json` says where it is and what it was built for, so a
retried flow attaches to it instead of waiting for a new one. Its output is in `<home>/engine/engine.log`.
"""

import asyncio
import fcntl
import os
import re
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from pydantic import BaseModel, ValidationError

from infra.engine.model_folder import ModelFolder
from infra.engine.reply import EngineError
from infra.settings import Settings, device

KV_GIB = 1
"""Memory for the KV cache of a CPU engine, GiB, float32: 262,000 tokens at micro's size, 23,000 of SmolLM2-135M."""
START_SECONDS = 900.0
STOP_SECONDS = 20.0

Progress = Callable[[str], None]


class LocalEngine(BaseModel):
    """A started engine, as kept in engine.json. `created`: its process's start time, which makes the pid unambiguous.

    `signature`: of the model folder (architecture and tokenizer), with the arguments that can not change in place.
    """

    pid: int
    created: float
    url: str
    signature: str

    @property
    def is_alive(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        return False


def local_engine(settings: Settings) -> LocalEngine | None:
    """The engine that runs in this home, if one does."""
    engine = _recorded(settings)
    return engine if engine and engine.is_alive else None


def launch_signature(folder: ModelFolder, settings: Settings) -> str:
    """What must be equal for a running engine to take this model's weights."""
    return f"{device(settings)}/{_dtype(folder, settings)}/{settings.engine_python}/{folder.signature}"


async def start_local_engine(folder: ModelFolder, settings: Settings, progress: Progress) -> LocalEngine:
    """Starts an engine on this model and waits until it answers. Raises EngineError with the reason from its log."""
    python = settings.engine_python.absolute()
    if not python.exists():
        raise EngineError(f"no engine environment at {python}: `make install` makes it, or set CPL_ENGINE_PYTHON")
    home = _home(settings)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "engine.log"
    port = _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "-m", "vllm.entrypoints.openai.api_server", *_arguments(folder, settings, port)],
            env=_environment(folder, settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    engine = LocalEngine(
        pid=process.pid,
        created=psutil.Process(process.pid).create_time(),
        url=f"http://127.0.0.1:{port}",
        signature=launch_signature(folder, settings),
    )
    _state(settings).write_text(engine.model_dump_json(indent=2))
    started = time.monotonic()
    while not await answers(engine):
        seconds = time.monotonic() - started
        if not engine.is_alive:
            raise EngineError(f"the engine did not start with {folder.path}: {_reason(log)} (all of it: {log})")
        if seconds > START_SECONDS:
            stop_local_engine(settings)
            raise EngineError(f"the engine was not ready after {seconds:.0f} s: {_reason(log)} (all of it: {log})")
        progress(f"engine starting, {seconds:.0f} s")
        await asyncio.sleep(0.5)
    progress(f"engine ready after {time.monotonic() - started:.0f} s at {engine.url}")
    return engine


async def answers(engine: LocalEngine) -> bool:
    """Whether the engine says that it is well."""
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        with suppress(httpx.RequestError):
            return (await http.get(f"{engine.url}/health")).status_code == 200
    return False


def stop_local_engine(settings: Settings) -> bool:
    """Stops this home's engine and all of its processes. False: another flow is using it, so it was left alone."""
    if not _home(settings).exists():
        return True
    with _lock_file(settings) as is_ours:
        if is_ours:
            end_local_engine(settings)
        return is_ours


def end_local_engine(settings: Settings) -> None:
    """Stops the engine; the caller holds its lock."""
    engine = _recorded(settings)
    if engine is None:
        return
    processes = _processes(engine)
    if engine.is_alive:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(engine.pid).terminate()
    _, left = psutil.wait_procs(processes, timeout=STOP_SECONDS if engine.is_alive else 0)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=STOP_SECONDS)
    _state(settings).unlink(missing_ok=True)


@asynccontextmanager
async def engine_to_ourselves(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    """Waits until no other flow uses this home's engine: two would swap the weights under each other's requests."""
    _home(settings).mkdir(parents=True, exist_ok=True)
    while True:
        with _lock_file(settings) as is_ours:
            if is_ours:
                yield
                return
        progress("waiting for the engine, another flow is using it")
        await asyncio.sleep(0.5)


@contextmanager
def _lock_file(settings: Settings) -> Iterator[bool]:
    # The kernel frees the lock when its holder dies. The engine does not inherit it (close-on-exec).
    with (_home(settings) / "engine.lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _home(settings: Settings) -> Path:
    return settings.home.absolute() / "engine"


def _state(settings: Settings) -> Path:
    return _home(settings) / "engine.json"


def _recorded(settings: Settings) -> LocalEngine | None:
    try:
        return LocalEngine.model_validate_json(_state(settings).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def _processes(engine: LocalEngine) -> list[psutil.Process]:
    """The engine and its workers. It leads a session of its own, so workers that outlived it are found as well."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == engine.pid and process.create_time() >= engine.created:
                found.append(process)
    # The number of a living session's leader is not given out again: another process under it means all are gone.
    return [] if any(one.pid == engine.pid and one.create_time() != engine.created for one in found) else found


def _dtype(folder: ModelFolder, settings: Settings) -> str:
    return "float32" if device(settings) == "cpu" else folder.probe.dtype


def _arguments(folder: ModelFolder, settings: Settings, port: int) -> list[str]:
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--model", str(folder.path)]
    arguments += [
        "--served-model-name",
        "policy",
        "--dtype",
        _dtype(folder, settings),
        "--max-model-len",
        "auto",
    ]
    # The policy as it is: no sampling defaults of the checkpoint, log-probs before temperature and bias.
    arguments += ["--generation-config", "vllm", "--logprobs-mode", "raw_logprobs"]
    arguments += ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    if device(settings) == "cpu":
        # 32 tokens is the smallest block the CPU's attention takes: the shorter, the more of a prefix is reused.
        return [*arguments, "--enforce-eager", "--block-size", "32", "--gpu-memory-utilization", "0.1"]
    return [*arguments, "--gpu-memory-utilization", "0.85"]


def _environment(folder: ModelFolder, settings: Settings) -> dict[str, str]:
    # Byte code is what makes the second start fast, so it is always written.
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # The endpoints that swap weights are unauthenticated: loopback only.
    kept |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if device(settings) == "cpu":
        kept |= {"VLLM_CPU_KVCACHE_SPACE": str(KV_GIB), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        # The model runs inside the engine's core process: one process less, and a third more tokens a CPU second.
        kept |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        kept.setdefault("OMP_NUM_THREADS", str(_threads(folder)))
    return kept


def _threads(folder: ModelFolder) -> int:
    """One for every 64 MiB of weights, and a core left to server and client: small models lose by every thread more."""
    mebibytes = sum(path.stat().st_size for path in folder.path.glob("*.safetensors")) >> 20
    return max(1, min(len(os.sched_getaffinity(0)) - 1, mebibytes // 64))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _reason(log: Path) -> str:
    """The errors that the log names, else its end. The root cause comes first; what follows only repeats it."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b\w*(Error|Exception): ", line)]
    messages = [re.sub(r"^(\(.*?\) )?(ERROR \S+ \S+ \[.*?\] )?", "", line) for line in errors]
    return " | ".join(dict.fromkeys(messages or lines[-10:])) or "it wrote nothing"

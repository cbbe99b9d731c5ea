"""A trainer, run to its end in a process of its own, on several GPUs in one each.

Its progress and its loss curve show in the UI while it runs. A killed trainer goes on from its last checkpoint when the
stage is retried. A cancelled flow ends its trainer. When the flow is killed, the trainer goes on, and a retry finds its
output.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infra.engine import engines_stopped
from infra.environment import ROOT, cores, cores_for, device, environment, gpus, is_part
from infra.stack.process import trim
from infra.store import Ref, Store
from tasks.running.curve import show_curve
from tasks.running.progress import Progress, in_the_ui
from tasks.running.workplace import Workplace

POLL_SECONDS = 0.5
SILENT_SECONDS = 600.0
"""Without a word of progress for so long, the log says it: a trainer may hang, or an update take that long."""


RANK = re.compile(r"^\[rank\d+\]:\s?")
EXCEPTION = re.compile(r"^(\w+\.)*\w*(Error|Exception)\b.*")
LAUNCHERS = re.compile(r"^(\w+\.)*(ChildFailedError|CalledProcessError)\b")
"""What accelerate and torch's launcher raise for a process that failed: never the reason."""
ADVICE = {
    ("OutOfMemoryError", "CUDA out of memory"): "Lower micro_batch_size, use more GPUs or a smaller model.",
    ("exitcode: -9", "exitcode  : -9", "died with <Signals.SIGKILL"): "A process was killed (signal 9), as the machine "
    "does when its memory is full: of several GPUs, the first one's process gathers the trained model there.",
}
"""By what is found in the output of a trainer that failed."""


_running: dict[int, subprocess.Popen[bytes]] = {}
"""Trainers of this process, by process id."""
_cancelled = threading.Event()
"""The flow is: a trainer that begins now is ended, too."""


class TrainingFailed(RuntimeError):
    """A trainer's process ended with an error; the message holds the end of what it said."""


@contextmanager
def side_by_side(most: int) -> Iterator[Callable[..., Future[Any]]]:
    """Begins trainings, `(function, arguments…) -> its future`: at most so many at once, in the order given, so that
    one may wait for what was begun before. Where the flow is cancelled, all that run are ended; where one of them
    fails, the others end and are kept.
    """
    pool = ThreadPoolExecutor(most)
    try:
        try:
            yield lambda train, *given: pool.submit(copy_context().run, train, *given)
        except Exception:
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()
    except BaseException as problem:
        if not isinstance(problem, Exception):  # Prefect's signal, or Ctrl-C: it reaches this thread alone
            _cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_running.values()):
                _end(process)
            pool.shutdown()
            _cancelled.clear()
        raise


def is_cancelled() -> bool:
    """Whether the flow is, whose trainings are side by side."""
    return _cancelled.is_set()


def at_once(model: Ref) -> int:
    """Trainings side by side, of models of this one's size. On GPUs one, which has all of them. On a CPU one for each
    of the cores that a small model can not make use of (`infra.environment.cores_for`)."""
    return 1 if device() == "cuda" else cores() // cores_for(_weights(model))


def _weights(model: Ref) -> int:
    """Bytes of a model's weights."""
    objects = Store.open(environment()).manifest(model).objects
    return sum(one.size for one in objects if one.name.endswith(".safetensors"))


def launch(workplace: Workplace, trainer: str, title: str, config: dict[str, Any]) -> None:
    """Runs `trainers.<trainer>` to its end and adds its model, progress and summary to the stage.

    `title`: what the UI calls it.

    Raises:
        TrainingFailed: with the last lines of the trainer's own output.
    """
    output = workplace.folder / "output"
    config_path = workplace.folder / "trainer.json"
    config_path.write_text(json.dumps(config | {"output": str(output)}, indent=2))
    visible = gpus() if device() == "cuda" else []
    devices = shared_out(visible[:1] if config.get("lora") else visible, config.get("batch_size", 1))
    if "batch_size" in config and len(devices) < len(visible) and not config.get("lora"):
        workplace.log.info(
            "training on %d of %d GPUs: a batch of %d is shared out evenly, and never to parts of GPUs",
            len(devices),
            len(visible),
            config["batch_size"],
        )
    workplace.gpus = len(devices)
    with ExitStack() as until_the_end:
        if visible:
            until_the_end.enter_context(engines_stopped(environment(), workplace.log.info))
        log = until_the_end.enter_context((workplace.folder / "trainer.log").open("ab"))
        log.truncate(0)  # and appended to: it may be trimmed meanwhile
        workplace.log.info("trainer %s starts", trainer)
        process = subprocess.Popen(
            [*python(devices), "-m", f"trainers.{trainer}", str(config_path)],
            cwd=ROOT,
            env=os.environ
            | {"CPL_DEVICE": device()}
            | ({"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {})
            | threads(config),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[workplace.lock.fileno()],  # a trainer whose flow was killed goes on: the retry waits for its end
            start_new_session=True,
        )
        _running[process.pid] = process
        try:
            if _cancelled.is_set():
                _end(process)
            _follow(workplace, title, process, output / "progress.jsonl")
        finally:
            _end(process)
            process.wait()
            del _running[process.pid]
    if process.returncode:
        said = (workplace.folder / "trainer.log").read_text(errors="replace")
        raise TrainingFailed(f"trainer {trainer} failed: {reason(said) or ended(process.returncode)}")
    for path in sorted((output / "model").iterdir()):
        workplace.add(f"model/{path.name}", path)
    for name in ("progress.jsonl", "summary.json", "references.parquet", "effects.parquet"):
        if (path := output / name).exists():
            workplace.add(path.name, path, rows=pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None)
    workplace.facts |= json.loads((output / "summary.json").read_text())


def threads(config: Mapping[str, Any]) -> dict[str, str]:
    """On a CPU, how many a trainer takes, where the user does not say it: other trainings have the rest."""
    start = Path(config["model"])
    if device() == "cuda" or "OMP_NUM_THREADS" in os.environ or not start.is_dir():
        return {}
    return {"OMP_NUM_THREADS": str(cores_for(sum(path.stat().st_size for path in start.glob("*.safetensors"))))}


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it launched, which accelerate would not end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def python(devices: Sequence[str]) -> list[str]:
    """The command that runs a module: on several GPUs a process each, weights and optimiser sharded (FSDP2)."""
    if len(devices) < 2:
        return [sys.executable]
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(ROOT / "infra" / "accelerate" / "fsdp2.yaml")),
        *("--num_processes", str(len(devices))),
        *("--num_cpu_threads_per_process", str(max((os.cpu_count() or 1) // len(devices), 1))),
    ]


def shared_out(devices: Sequence[str], batch_size: int) -> Sequence[str]:
    """The most of the devices to which a batch can be shared out evenly; one where they are parts of GPUs (MIG)."""
    if any(map(is_part, devices)):
        return devices[:1]
    return devices[: max((n for n in range(1, len(devices) + 1) if batch_size % n == 0), default=0)]


def ended(status: int) -> str:
    """How a process ended whose log is empty. Below 0: by that signal. Else nobody could keep what it said."""
    if status < 0:
        return f"it ended by signal {signal.Signals(-status).name} and said nothing"
    return f"it ended by status {status}, and its log is empty, as when the disk is full: make room below CPL_HOME"


def reason(said: str) -> str:
    """Why a trainer ended, from its output: its own error lines, else the exceptions that it or one of its processes
    raised, each once; without any, the end of what it said."""
    lines = [RANK.sub("", line) for line in said.strip().splitlines()]
    own = [line for line in lines if line.startswith("error: ")]
    raised = [line for line in lines if EXCEPTION.match(line) and not LAUNCHERS.match(line)]
    found = list(dict.fromkeys(own or raised))
    advice = [text for signs, text in ADVICE.items() if any(sign in line for line in lines for sign in signs)]
    return "\n".join((found or lines[-30:]) + advice)


def _follow(workplace: Workplace, title: str, process: subprocess.Popen[bytes], progress_path: Path) -> None:
    """Shows the progress file's growth in the UI until the process ends, and says when it has long not grown."""
    progress: Progress | None = None
    shown = 0
    heard = time.monotonic()
    while True:
        ended = process.poll() is not None
        text = progress_path.read_text() if progress_path.exists() else ""
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        if len(lines) > shown:
            shown = len(lines)
            heard = time.monotonic()
            last = lines[-1]
            workplace.timeline.add("updates", done=last["update"], loss=last["loss"])
            progress = progress or Progress(workplace.log, title, total=last["updates"])
            hours = workplace.gpus * workplace.timeline.seconds / 3600
            if progress.show(
                last["update"], f"loss {last['loss']:.4f}" + (f", {hours:.2f} GPU hours" if hours else "")
            ):
                with in_the_ui(workplace.log):
                    show_curve(title, lines)
        if ended:
            return
        trim(workplace.folder / "trainer.log")
        if time.monotonic() - heard > SILENT_SECONDS:
            heard = time.monotonic()
            workplace.log.warning(
                "no progress for %.0f s, after %d updates; process %d may hang: cancel the run to end it (%s)",
                SILENT_SECONDS,
                shown,
                process.pid,
                workplace.folder / "trainer.log",
            )
        time.sleep(POLL_SECONDS)

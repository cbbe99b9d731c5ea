"""The training steps. Each trainer runs in its own process, on several GPUs in one each; its progress and its loss
curve show in the UI while it runs, and a killed one goes on from its last checkpoint when the step is retried. It is
ended with its flow when that is cancelled; when the flow was killed, it trains on, and a retry finds it finished.

SFT and the value model start from the round's base model, as in CPL (methods.md 1.4, 1.8). The others are arms of one
comparison: each starts from the SFT checkpoint, learns from the same trees and sees as many sequences. The checkpoint
is also the reference of the two that prefer.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from infra.engine import engines_stopped
from infra.environment import ROOT, device, environment, gpus
from infra.store import Ref
from tasks.pages.curve import show_curve
from tasks.running.progress import Progress, in_the_ui
from tasks.running.stage import Workplace, stage
from tasks.settings import Control, Sft, StepApo, Value

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
    "does when its memory is full: every GPU's process loads the whole model in float32 first.",
}
"""By what is found in the output of a trainer that failed."""


class TrainingFailed(RuntimeError):
    """A trainer's process ended with an error; the message holds the end of what it said."""


@stage("sft", version=4)
def train_sft(workplace: Workplace, start: Ref, pairs: Ref, settings: Sft) -> int:
    """Imitates the right paths from the base model and, with a value weight, regresses V to the tree's Q beside it."""
    return _train(workplace, "sft", start, pairs, "examples", "sft_examples", settings.model_dump())


@stage("value", version=2)
def train_value(workplace: Workplace, start: Ref, pairs: Ref, settings: Value) -> int:
    """A model of its own that regresses V to the tree's Q, and does nothing else."""
    config = settings.model_dump(exclude={"separate"})
    return _train(workplace, "value", start, pairs, "examples", "sft_examples", config)


@stage("step_apo", version=3)
def train_step_apo(workplace: Workplace, start: Ref, pairs: Ref, settings: StepApo) -> int:
    """Prefers the better sibling by more than the advantage between them, from the SFT checkpoint."""
    return _train(workplace, "step_apo", start, pairs, "pairs", "step_pairs", settings.model_dump())


@stage("step_dpo", version=2)
def train_step_dpo(workplace: Workplace, start: Ref, pairs: Ref, settings: StepApo) -> int:
    """The same pairs with settings whose alpha is 0, without the margin: what the advantage adds to a preference."""
    return _train(workplace, "step_apo", start, pairs, "pairs", "step_pairs", settings.model_dump())


@stage("sft_more", version=4)
def continue_sft(workplace: Workplace, start: Ref, pairs: Ref, epochs: float, settings: Control) -> int:
    """The control: what Step-APO's sequences would have bought if spent on more imitation."""
    config = settings.model_dump() | {"epochs": epochs, "value_weight": 0.0}
    return _train(workplace, "sft", start, pairs, "examples", "sft_examples", config)


def _train(
    workplace: Workplace, trainer: str, model: Ref, data: Ref, field: str, table: str, config: dict[str, Any]
) -> int:
    rows = workplace.store.fetch(data, f"{table}.parquet")
    files = {"model": str(workplace.store.folder(model, "model")), field: str(rows)}
    seen = pl.scan_parquet(rows).filter(pl.col("is_policy") if config.get("value_weight") == 0 else True)
    workplace.facts["notes"] = [f"{workplace.name}: {note}" for note in shortened(seen, config["max_length"])]
    launch(workplace, trainer, files | config)
    return int(workplace.facts["examples"])


def shortened(rows: pl.LazyFrame, max_length: int) -> list[str]:
    """What a trainer does not see of a table's rows, in a sentence; of a pair, the longer side counts."""
    prompt = pl.col("prompt_ids").list.len()
    completion = pl.max_horizontal(cs.matches("^(completion|chosen|rejected)_ids$").list.len())
    n, left_out, cut = (
        rows.select(
            pl.len(),
            (prompt >= max_length).sum().alias("left_out"),
            ((prompt < max_length) & (prompt + completion > max_length)).sum().alias("cut"),
        )
        .collect()
        .row(0)
    )
    if not left_out + cut:
        return []
    return [
        f"of {n} rows, {cut} are cut at max_length ({max_length} tokens), so that nothing learns how they end, and "
        f"{left_out} are left out, whose prompt alone fills it."
    ]


def launch(workplace: Workplace, trainer: str, config: dict[str, Any]) -> None:
    """Runs `trainers.<trainer>` to its end and adds its model, progress and summary to the stage.

    Raises:
        TrainingFailed: with the last lines of the trainer's own output.
    """
    output = workplace.folder / "output"
    config_path = workplace.folder / "trainer.json"
    config_path.write_text(json.dumps(config | {"output": str(output)}, indent=2))
    visible = gpus() if device() == "cuda" else []
    devices = shared_out(visible, config.get("batch_size", 1))
    if trainer != "prepare" and len(devices) < len(visible):
        workplace.log.info(
            "training on %d of %d GPUs: a batch of %d is shared out evenly",
            len(devices),
            len(visible),
            config["batch_size"],
        )
    with ExitStack() as until_the_end:
        if visible:
            until_the_end.enter_context(engines_stopped(environment(), workplace.log.info))
        log = until_the_end.enter_context((workplace.folder / "trainer.log").open("wb"))
        workplace.log.info("trainer %s starts", trainer)
        process = subprocess.Popen(
            [*python(devices), "-m", f"trainers.{trainer}", str(config_path)],
            cwd=ROOT,
            env=os.environ
            | {"CPL_DEVICE": device()}
            | ({"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[workplace.lock.fileno()],  # a trainer whose flow was killed goes on: the retry waits for its end
            start_new_session=True,
        )
        try:
            _follow(workplace, process, output / "progress.jsonl")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # accelerate would not end what it launched
            process.wait()
    if process.returncode:
        raise TrainingFailed(
            f"trainer {trainer} failed: {reason((workplace.folder / 'trainer.log').read_text(errors='replace'))}"
        )
    for path in sorted((output / "model").iterdir()):
        workplace.add(f"model/{path.name}", path)
    for path in (output / "progress.jsonl", output / "summary.json"):
        if path.exists():
            workplace.add(path.name, path)
    workplace.facts |= json.loads((output / "summary.json").read_text())


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
    """The most of the devices to which a batch can be shared out evenly."""
    return devices[: max((n for n in range(1, len(devices) + 1) if batch_size % n == 0), default=0)]


def reason(said: str) -> str:
    """Why a trainer ended, from its output: its own error lines, else the exceptions that it or one of its processes
    raised, each once; without any, the end of what it said."""
    lines = [RANK.sub("", line) for line in said.strip().splitlines()]
    own = [line for line in lines if line.startswith("error: ")]
    raised = [line for line in lines if EXCEPTION.match(line) and not LAUNCHERS.match(line)]
    found = list(dict.fromkeys(own or raised))
    advice = [text for signs, text in ADVICE.items() if any(sign in line for line in lines for sign in signs)]
    return "\n".join((found or lines[-30:]) + advice)


def _follow(workplace: Workplace, process: subprocess.Popen[bytes], progress_path: Path) -> None:
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
            progress = progress or Progress(workplace, workplace.name, total=last["updates"])
            if progress.show(last["update"], f"loss {last['loss']:.4f}"):
                with in_the_ui(workplace.log):
                    show_curve(workplace.name, lines)
        if ended:
            return
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

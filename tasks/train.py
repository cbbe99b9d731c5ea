"""The training steps. Each trainer runs in its own process through `accelerate launch`; its progress and its loss
curve show in the UI while it runs, and a killed one goes on from its last checkpoint when the step is retried. It is
ended with its flow when that is cancelled; when the flow was killed, it trains on, and a retry finds it finished.

SFT starts from the round's base model, as in CPL (methods.md 1.8); Step-APO from the SFT checkpoint, which is also
its reference; the control continues SFT for as many updates as Step-APO had.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.engine import stop_local_engine
from infra.settings import device, gpus
from infra.settings import settings as environment
from infra.store import Ref
from tasks.curve import show_curve
from tasks.settings import Sft, StepApo
from tasks.step import Progress, Stage, in_the_ui, step

ROOT = Path(__file__).parent.parent
POLL_SECONDS = 0.5


class TrainingFailed(RuntimeError):
    """A trainer's process ended with an error; the message holds the end of what it said."""


@step("sft", version=2)
def train_sft(stage: Stage, base: Ref, pairs: Ref, settings: Sft) -> int:
    """Imitates the right paths and regresses V to the tree's Q, in one pass from the base model."""
    return _train(stage, "sft", base, pairs, "examples", "sft_examples", settings.model_dump())


@step("step_apo", version=1)
def train_step_apo(stage: Stage, sft: Ref, pairs: Ref, settings: StepApo) -> int:
    """Prefers the better sibling by more than the advantage between them, from the SFT checkpoint."""
    return _train(stage, "step_apo", sft, pairs, "pairs", "step_pairs", settings.model_dump())


@step("sft_more", version=2)
def continue_sft(stage: Stage, sft: Ref, pairs: Ref, updates: int, settings: Sft) -> int:
    """The control: what Step-APO's updates would have bought if spent on more SFT."""
    config = settings.model_dump(exclude={"epochs"}) | {"updates": updates}
    return _train(stage, "sft", sft, pairs, "examples", "sft_examples", config)


def _train(stage: Stage, trainer: str, model: Ref, data: Ref, field: str, table: str, config: dict[str, Any]) -> int:
    files = {
        "model": str(stage.store.folder(model, "model")),
        field: str(stage.store.fetch(data, f"{table}.parquet")),
    }
    launch(stage, trainer, files | config)
    return int(stage.facts["examples"])


def launch(stage: Stage, trainer: str, config: dict[str, Any]) -> None:
    """Runs `trainers.<trainer>` to its end and adds its model, progress and summary to the stage.

    Raises:
        TrainingFailed: with the last lines of the trainer's own output.
    """
    stage.log.info("trainer %s starts", trainer)
    if device() == "cuda":
        stop_local_engine(environment())
    output = stage.folder / "output"
    config_path = stage.folder / "trainer.json"
    config_path.write_text(json.dumps(config | {"output": str(output)}, indent=2))
    devices = gpus() if device() == "cuda" else []
    if trainer == "prepare":
        devices = devices[:1]
    with (stage.folder / "trainer.log").open("wb") as log:
        process = subprocess.Popen(
            [*accelerate(devices), "-m", f"trainers.{trainer}", str(config_path)],
            cwd=ROOT,
            env=os.environ
            | {"CPL_DEVICE": device()}
            | ({"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[stage.lock.fileno()],  # a trainer whose flow was killed goes on: the retry waits for its end
            start_new_session=True,
        )
        try:
            _follow(stage, process, output / "progress.jsonl")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # accelerate would not end what it launched
            process.wait()
    if process.returncode:
        raise TrainingFailed(f"trainer {trainer} failed: {_said(stage.folder / 'trainer.log')}")
    for path in sorted((output / "model").iterdir()):
        stage.add(f"model/{path.name}", path)
    for path in (output / "progress.jsonl", output / "summary.json"):
        if path.exists():
            stage.add(path.name, path)
    stage.facts |= json.loads((output / "summary.json").read_text())


def accelerate(devices: Sequence[str]) -> list[str]:
    """The command before the trainer: one process a GPU, weights and optimiser sharded over several (FSDP2)."""
    name = "cpu" if not devices else "single-gpu" if len(devices) == 1 else "fsdp2"
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(ROOT / "infra" / "accelerate" / f"{name}.yaml")),
        *("--num_processes", str(max(len(devices), 1))),
        *("--num_cpu_threads_per_process", str(max((os.cpu_count() or 1) // max(len(devices), 1), 1))),
    ]


def _said(log: Path) -> str:
    """The trainer's own error lines or, without any, the end of its output; not accelerate's trace behind them."""
    lines = log.read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    return "\n".join(errors or lines[-30:])


def _follow(stage: Stage, process: subprocess.Popen[bytes], progress_path: Path) -> None:
    """Shows the progress file's growth in the UI until the process ends."""
    progress: Progress | None = None
    shown = 0
    while True:
        ended = process.poll() is not None
        text = progress_path.read_text() if progress_path.exists() else ""
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        if len(lines) > shown:
            shown = len(lines)
            last = lines[-1]
            progress = progress or Progress(stage, stage.name, total=last["steps"])
            if progress.show(last["step"], f"loss {last['loss']:.4f}"):
                with in_the_ui(stage.log):
                    show_curve(stage.name, lines)
        if ended:
            return
        time.sleep(POLL_SECONDS)

"""What a trainer tells while it trains, and where a killed one goes on.

progress.jsonl: one JSON object an update, flushed: {"update", "updates", "seconds", "loss", "learning_rate", …}.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

WORTH = 10
"""A checkpoint is written after training for so many times what the last one took: after the first, a tenth at most is
spent on them."""


class Checkpoints(TrainerCallback):
    """Puts off a checkpoint that is due by the number of updates but costs more than it saves: that of a large model
    takes minutes, and many a lesson is learnt in as many."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trained_from, self.took = time.monotonic(), 0.0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if control.should_save:
            self.begun = time.monotonic()
            is_worth_it = self.begun - self.trained_from >= WORTH * self.took
            # All processes write a checkpoint together, or none.
            control.should_save = bool(broadcast(torch.tensor(is_worth_it, device=args.device)))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trained_from = time.monotonic()
        self.took = self.trained_from - self.begun


class Progress(TrainerCallback):
    """Writes progress.jsonl; a resumed run drops the lines after its checkpoint and counts seconds on."""

    def __init__(self, output: Path) -> None:
        self.path = output / "progress.jsonl"
        self.last: dict[str, Any] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        kept = [line for line in lines(self.path) if line["update"] <= state.global_step]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self.last = kept[-1] if kept else {}
        self.started = time.monotonic() - self.last.get("seconds", 0.0)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        if not state.is_world_process_zero or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"loss {logs['loss']} at update {state.global_step}: lower learning_rate or check the rows"
            )
        seconds = round(time.monotonic() - self.started, 3)
        self.last = {"update": state.global_step, "updates": state.max_steps, "seconds": seconds, **logs}
        line = json.dumps(self.last)
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of progress.jsonl; one that a kill cut short is left out."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def last_checkpoint(checkpoints: Path) -> Path | None:
    """The newest complete checkpoint: trainer_state.json is written last and parses only when whole."""
    for path in sorted(checkpoints.glob("checkpoint-*"), key=lambda p: -int(p.name.split("-")[1])):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            continue
        return path
    return None

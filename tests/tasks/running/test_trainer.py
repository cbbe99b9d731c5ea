"""What is kept of a trainer while it trains: its updates over time, and a log that does not fill the disk."""

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from infra.stack.process import LOG_MIB
from tasks.running import trainer
from tests.tasks.running.local_stage import LocalStage


class Training:
    """A trainer's process that writes two updates and a large log, and then ends."""

    pid = 1

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, 0

    def poll(self) -> int | None:
        self.asked += 1
        with (self.folder / "progress.jsonl").open("a") as lines:
            lines.write(json.dumps({"update": self.asked, "updates": 2, "loss": 1 / self.asked}) + "\n")
        with (self.folder / "trainer.log").open("ab") as log:
            log.write(b"x" * (LOG_MIB << 20) + b"update\n")
        return 0 if self.asked == 2 else None


def test_updates_are_kept_with_their_time_and_a_large_log_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []

    class Bar:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def show(self, done: int, note: str) -> bool:
            shown.append((done, note))
            return False

    monkeypatch.setattr(trainer, "Progress", Bar)
    monkeypatch.setattr(trainer, "POLL_SECONDS", 0.01)
    stage = LocalStage(tmp_path)
    stage.gpus = 8
    stage.timeline._started -= 3600
    process = Training(tmp_path)
    trainer._follow(stage, "sft", cast(subprocess.Popen[bytes], process), tmp_path / "progress.jsonl")
    points = stage.timeline.series["updates"]
    assert (points["done"], points["loss"]) == ([1, 2], [1.0, 0.5])
    assert shown == [(1, "loss 1.0000, 8.00 GPU hours"), (2, "loss 0.5000, 8.00 GPU hours")]
    assert (tmp_path / "trainer.log").stat().st_size == (LOG_MIB << 20) + 7, "what was said since"
    assert (tmp_path / "trainer.previous.log").stat().st_size == LOG_MIB << 20

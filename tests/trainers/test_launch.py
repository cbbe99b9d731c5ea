"""A trainer and the flow that launched it: ended with it, but not lost with it."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.settings import gpus
from tasks.train import accelerate
from tests.tasks.local_stage import LocalStage
from tests.trainers.conftest import write_config
from trainers.progress import lines

UPDATES = 200


@pytest.fixture
def config(settings: dict[str, Any], examples: Path, tmp_path: Path) -> Path:
    fields = {name: value for name, value in settings.items() if name != "output"}
    told = fields | {
        "learning_rate": 1e-3,
        "examples": examples,
        "epochs": UPDATES / 2,
        "value_weight": 0.5,
        "value_rate": 2.0,
    }
    return write_config(tmp_path / "config.json", told)


def training(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    """A flow's process in the middle of its training."""
    flow = subprocess.Popen([sys.executable, "-m", "tests.trainers.launched", str(folder), str(config)])
    while len(lines(folder / "output" / "progress.jsonl")) < 3:
        assert flow.poll() is None, (folder / "trainer.log").read_text()
        time.sleep(0.005)
    return flow


def trainers(folder: Path) -> list[psutil.Process]:
    """The processes that train there, accelerate's launcher among them."""
    told = str(folder / "trainer.json")
    return [one for one in psutil.process_iter(["cmdline"]) if told in (one.info["cmdline"] or ())]


def test_a_trainer_outlives_its_killed_flow_and_the_retry_waits_for_it(config: Path, tmp_path: Path) -> None:
    flow = training(tmp_path / "stage", config)
    flow.kill()
    flow.wait()
    assert trainers(tmp_path / "stage")
    with LocalStage(tmp_path / "stage").alone():
        assert trainers(tmp_path / "stage") == []
    assert len(lines(tmp_path / "stage" / "output" / "progress.jsonl")) == UPDATES
    assert (tmp_path / "stage" / "output" / "summary.json").exists()


def test_a_cancelled_flow_ends_its_trainer(config: Path, tmp_path: Path) -> None:
    flow = training(tmp_path / "stage", config)
    processes = trainers(tmp_path / "stage")
    flow.terminate()
    flow.wait()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert processes
    assert not alive
    assert not (tmp_path / "stage" / "output" / "summary.json").exists()


@pytest.mark.parametrize(
    ("visible", "config", "processes"),
    [("", "cpu", "1"), ("3", "single-gpu", "1"), ("0, 2,5", "fsdp2", "3"), ("GPU-8f3a,GPU-77b0", "fsdp2", "2")],
)
def test_the_gpus_that_are_visible_are_trained_on(
    visible: str, config: str, processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    command = accelerate(gpus())
    assert Path(command[command.index("--config_file") + 1]).stem == config
    assert command[command.index("--num_processes") + 1] == processes

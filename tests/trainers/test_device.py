"""One decision what to compute on: a trainer that was told to use a GPU does not fall back on the CPU."""

import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import tasks.running.trainer
from trainers.config import ConfigError
from trainers.device import device
from trainers.model_folder import load_model


@pytest.mark.parametrize(
    ("told", "has_gpu", "used"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_what_is_told_is_used(told: str, has_gpu: bool, used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_DEVICE", told)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert device() == torch.device(used)


def test_a_gpu_that_torch_cannot_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"a GPU is to be used, and torch has none: .* CPL_DEVICE=cpu"):
        device()


def started(monkeypatch: pytest.MonkeyPatch, folder: Any, here: str, gpus: list[str], **config: Any) -> dict[str, Any]:
    """What `launch` gives a trainer's process, which is not started."""
    given: dict[str, Any] = {}

    class Started(RuntimeError):
        pass

    def popen(command: list[str], **options: Any) -> None:
        given.update(options)
        raise Started

    monkeypatch.setattr(tasks.running.trainer, "device", lambda: here)
    monkeypatch.setattr(tasks.running.trainer, "gpus", lambda: gpus)
    monkeypatch.setattr(tasks.running.trainer, "engines_stopped", lambda settings, say: nullcontext())
    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (folder / "lock").open("wb") as lock:
        stage: Any = SimpleNamespace(log=SimpleNamespace(info=print), folder=folder, lock=lock)
        with pytest.raises(Started):
            tasks.running.trainer.launch(stage, "prepare", "a model", config)
    return given


@pytest.mark.parametrize("here", ["cpu", "cuda"])
def test_a_trainer_is_told_the_factorys_decision_and_asks_nobody(
    here: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(bytes(1000))
    given = started(monkeypatch, tmp_path, here, ["0"], model=str(model))
    assert given["env"]["CPL_DEVICE"] == here
    threads = {"cpu": {"OMP_NUM_THREADS": "1"}, "cuda": {}}[here]
    assert {name: text for name, text in given["env"].items() if name == "OMP_NUM_THREADS"} == threads
    assert given["stdin"] == subprocess.DEVNULL


@pytest.mark.parametrize(("lora", "used"), [(0, "0,1"), (8, "0")])
def test_an_adapter_trains_on_the_first_gpu(
    lora: int, used: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    given = started(monkeypatch, tmp_path, "cuda", ["0", "1"], model="m", batch_size=4, lora=lora)
    assert given["env"]["CUDA_VISIBLE_DEVICES"] == used


def test_a_model_is_read_onto_its_device_and_nowhere_else(folder: Path) -> None:
    """Of several processes none has it in the machine's own memory."""
    model = load_model(folder, torch.device("meta"))
    assert {tensor.device.type for tensor in model.parameters()} == {"meta"}
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}

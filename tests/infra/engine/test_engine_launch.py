"""What an engine is started with, on devices that are not here as well."""

import json
import os
from pathlib import Path

import httpx
import pytest

from infra.contract.model_folder import Probe, ProbeSequence, ValueWords
from infra.engine.launch import INSIDE, arguments, environment, launch_signature
from infra.engine.model_folder import ModelFolder
from infra.environment import Environment


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {}}))
    one = ProbeSequence(prompt=[1], token_ids=[3], logprobs=[-1.0])
    words = ValueWords(good=3, bad=4, eos=0, knows_format=True)
    return ModelFolder(tmp_path, {"vocab_size": 9}, words, Probe(dtype="float32", tolerance=1e-3, sequences=[one]))


def test_on_a_gpu_nothing_is_compiled_that_needs_a_toolkit(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver is all that a machine must have; what is compiled all the same finds the environment's own tools."""
    monkeypatch.setenv("PATH", "/usr/bin")
    settings = Environment(home=tmp_path, device="cuda", engine_python=Path("somewhere/bin/python"))
    variables = environment(folder, settings, "key")
    assert variables["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert variables["PATH"] == f"{Path('somewhere/bin').absolute()}{os.pathsep}/usr/bin"


def test_dtype_is_the_devices_and_not_the_checkpoints(folder: ModelFolder, tmp_path: Path) -> None:
    """A base that was prepared on a CPU is in float32: no GPU's attention takes that."""
    dtypes = {}
    for device in ("cpu", "cuda"):
        settings = Environment(home=tmp_path, device=device)
        given = arguments(folder, settings, httpx.URL("http://127.0.0.1:8123"))
        dtypes[device] = given[given.index("--dtype") + 1]
        assert given[given.index("--host") + 1 : given.index("--host") + 4] == ["127.0.0.1", "--port", "8123"]
        assert "--trust-remote-code" not in given
    assert dtypes == {"cpu": "float32", "cuda": "bfloat16"}


def test_nobody_without_the_key_is_served(folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    settings = Environment(home=tmp_path, device="cpu")
    given = arguments(folder, settings, httpx.URL("http://127.0.0.1:8123"))
    guard = given[given.index("--middleware") + 1]
    assert (INSIDE / f"{guard.split('.')[0]}.py").is_file()
    assert environment(folder, settings, "k")["CPL_ENGINE_KEY"] == "k"
    assert environment(folder, settings, "k")["PYTHONPATH"] == f"{INSIDE}{os.pathsep}/mine"
    assert "k" not in given
    assert guard in launch_signature(folder, settings)  # an engine without it is not taken over


def test_the_cuda_lock_holds_no_file_twice() -> None:
    """cuda-python was a wheel with the files of cuda-bindings; from 13 on it only asks for the same version of it."""
    lock = (Path(__file__).parents[3] / "infra" / "locks" / "engine-cuda.txt").read_text()
    versions = dict(line.split("==") for line in lock.splitlines() if "==" in line and ";" not in line)
    assert int(versions["cuda-python"].split(".")[0]) >= 13
    assert versions["cuda-python"] == versions["cuda-bindings"]

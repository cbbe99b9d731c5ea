"""What an engine is started with, on devices that are not here as well."""

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.engine.launch import (
    INSIDE,
    NotEnoughGPUs,
    arguments,
    berths,
    environment,
    launch_signature,
    refuse_engines_without_gpus,
)
from infra.engine.model_folder import ModelFolder
from infra.engine.server import name_of
from infra.environment import Environment, NoDriver


def test_on_a_gpu_nothing_is_compiled_that_needs_a_toolkit(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver is all that a machine must have; what is compiled all the same finds the environment's own tools."""
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    settings = Environment(home=tmp_path, device="cuda", engine_python=Path("somewhere/bin/python"))
    variables = environment(folder, settings, "key")
    assert variables["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert variables["PATH"] == f"{Path('somewhere/bin').absolute()}{os.pathsep}/usr/bin"


@pytest.mark.parametrize(
    ("on", "cores", "gpus", "asked", "expected"),
    [
        ("cpu", 64, "", None, 1),
        ("cpu", 64, "", 2, 2),
        ("cuda", 2, "0", None, 1),
        ("cuda", 4, "0", None, 3),
        ("cuda", 64, "0", None, 4),
        ("cuda", 24, "0,1,2,3,4,5,6,7", None, 2),
        ("cuda", 4, "0,1,2,3,4,5,6,7", None, 1),
        ("cuda", 2, "0", 6, 6),
    ],
)
def test_a_gpus_engine_has_servers_as_its_share_of_the_cores_allows(
    on: str,
    cores: int,
    gpus: str,
    asked: int | None,
    expected: int,
    folder: ModelFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One writes as many tokens a second as 7,000; a model inside the server's process has one of them alone."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr("infra.engine.launch.cores", lambda: cores)
    here = Environment(home=tmp_path, device=on, engine_servers=asked)
    told = arguments(folder, here, httpx.URL("http://127.0.0.1:1"))
    assert told[told.index("--api-server-count") + 1] == str(expected)
    inside = environment(folder, here, "key").get("VLLM_ENABLE_V1_MULTIPROCESSING")
    assert (inside == "0") == (on == "cpu" and expected == 1)


@pytest.mark.parametrize(
    ("visible", "engines", "each", "berths_of"),
    [
        ("0,1,2,3", None, 1, [["0"], ["1"], ["2"], ["3"]]),
        ("0,1,2,3", None, 2, [["0", "1"], ["2", "3"]]),
        ("5,GPU-8f3a,7", None, 2, [["5", "GPU-8f3a"]]),
        ("0,1,2,3", 2, 1, [["0"], ["1"]]),
    ],
)
def test_a_gpu_belongs_to_one_engine(
    visible: str,
    engines: int | None,
    each: int,
    berths_of: list[list[str]],
    folder: ModelFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    here = Environment(home=tmp_path, device="cuda", engines=engines, engine_gpus=each)
    assert berths(here) == berths_of
    for berth, gpus in enumerate(berths_of):
        assert environment(folder, here, "key", berth)["CUDA_VISIBLE_DEVICES"] == ",".join(gpus)
    assert len({launch_signature(folder, here, berth) for berth in range(len(berths_of))}) == len(berths_of)
    words = arguments(folder, here, httpx.URL("http://127.0.0.1:8123"))
    assert words[words.index("--tensor-parallel-size") + 1] == str(each)


@pytest.mark.parametrize("on", ["cpu", "cuda"])
@pytest.mark.parametrize(
    "changed",
    [{"engine_servers": 2}, {"engines": 2}, {"engine_python": Path("another")}, {"engine_memory": 0.5}],
    ids=str,
)
def test_an_engine_that_runs_is_taken_over_by_who_would_start_it_alike(
    changed: dict[str, Any], on: Any, folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a setting changes in what it is started with would else have no effect while it runs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("infra.engine.launch.cores", lambda: 5)
    before = Environment(home=tmp_path, device=on, engine_servers=1, engines=1)
    after = before.model_copy(update=changed)

    def started(here: Environment) -> Any:
        return (
            here.engine_python,
            arguments(folder, here, httpx.URL("http://127.0.0.1:1")),
            environment(folder, here, ""),
        )

    monkeypatch.setattr("infra.engine.launch.cores_for", lambda weights: 5)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # not worth another start
    assert (launch_signature(folder, before) == launch_signature(folder, after)) == (started(before) == started(after))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'NVML: Driver/library version mismatch'; exit 18", "version mismatch"),
        (None, "No such"),
    ],
)
def test_a_driver_that_does_not_answer_is_told_in_its_words(
    script: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(NoDriver, match=f"lists no GPUs: .*{said}.*CPL_DEVICE=cpu"):
        refuse_engines_without_gpus(Environment(home=tmp_path, device="cuda", engine_urls=[]))


def test_a_gpu_that_is_lost_moves_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine dies with it; whichever is started again gets the GPU that it had, and none that another has."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nseq 0 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    here = Environment(home=tmp_path, device="cuda")
    assert berths(here) == [["0"], ["1"], ["2"], ["3"]]
    tool.write_text("#!/bin/sh\nseq 1 3\nexit 15\n")
    assert berths(here) == [["0"], ["1"], ["2"], ["3"]]
    assert [name_of(here, berth) for berth in (0, 3)] == ["engine 1 of 4 (GPU 0)", "engine 4 of 4 (GPU 3)"]
    pairs = here.model_copy(update={"engine_gpus": 2})
    assert name_of(pairs, 1) == "engine 2 of 2 (GPU 2, 3)"
    assert name_of(pairs.model_copy(update={"engines": 1}), 0) == "the engine"


@pytest.mark.parametrize(("engines", "each"), [(3, 1), (2, 2), (None, 4)])
def test_engines_that_the_gpus_do_not_make_are_refused(
    engines: int | None, each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    here = Environment(home=tmp_path, device="cuda", engines=engines, engine_gpus=each, engine_urls=[])
    with pytest.raises(NotEnoughGPUs, match=r"each on \d GPUs?, and 2 GPUs are visible"):
        refuse_engines_without_gpus(here)
    refuse_engines_without_gpus(here.model_copy(update={"engine_urls": ["http://127.0.0.1:1"]}))


def test_an_engine_has_one_part_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-0a1b,MIG-77c2")
    here = Environment(home=tmp_path, device="cuda", engine_urls=[])
    assert berths(here) == [["MIG-0a1b"], ["MIG-77c2"]]
    with pytest.raises(NotEnoughGPUs, match=r"CPL_ENGINE_GPUS=2: .* \(MIG\); set it to 1"):
        refuse_engines_without_gpus(here.model_copy(update={"engine_gpus": 2}))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("nothing", [{"engines": 0}, {"engines": -1}, {"engine_gpus": 0}])
def test_no_engine_and_an_engine_without_gpus_are_refused_in_a_sentence(device: Any, nothing: dict[str, int]) -> None:
    with pytest.raises(NotEnoughGPUs, match="count from 1 on"):
        refuse_engines_without_gpus(Environment(device=device, engine_urls=[], **nothing))  # type: ignore[arg-type]


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles", "-1,0"])
def test_gpus_that_are_hidden_are_none(visible: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(NotEnoughGPUs, match=r"0 GPUs are visible; .*CPL_DEVICE=cpu"):
        refuse_engines_without_gpus(Environment(home=tmp_path, device="cuda", engine_urls=[]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"3,{visible or '-1'}")
    assert berths(Environment(home=tmp_path, device="cuda")) == [["3"]]


def test_engines_on_a_cpu_share_its_cores(folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("infra.engine.launch.cores", lambda: 9)
    monkeypatch.setattr("infra.engine.launch.cores_for", lambda weights: 6)
    threads = {
        engines: environment(folder, Environment(home=tmp_path, device="cpu", engines=engines), "key")[
            "OMP_NUM_THREADS"
        ]
        for engines in (None, 2, 20)
    }
    assert threads == {None: "6", 2: "4", 20: "1"}


def test_dtype_is_the_devices_and_not_the_checkpoints(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base that was prepared on a CPU is in float32: no GPU's attention takes that."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
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

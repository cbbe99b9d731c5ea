"""Does a training fit? Told before the search: against what an H100 took, and what the README says."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.contract.training import Loss, Training
from infra.environment import gpu_memory, memory
from infra.store import Ref
from tasks.running.memory import GB, ROOM, Machine, Model, TooLarge, refuse_too_large, state, ways_out
from tasks.running.trainer import shared_out

SFT = Training(loss=Loss(nll=1.0), batch_size=64, learning_rate=1e-5)
LORA = SFT.model_copy(update={"lora": 16})
SEVEN = {"parameters": 6_900_000_000, "head": 102_400 * 4096}
TWO = {"parameters": 1_812_047_872, "head": 49_154 * 2048}


def base(counts: dict[str, int]) -> Ref:
    return Ref(uri="s3://cpl/model/manifest.json", sha256="0" * 64, rows=0, counts=counts)


def machine(gpus: int, gpu: float, host: float = 2000.0) -> Machine:
    return Machine(tuple(map(str, range(gpus))), int(gpu * GB) if gpus else None, int(host * GB))


@pytest.mark.parametrize(("training", "measured"), [(SFT, 33.58), (LORA, 10.99)])
def test_what_an_h100_took_is_the_state_and_some_activations(training: Training, measured: float) -> None:
    """31.27 and 10.24 GiB at the peak, 4 rows of 1,024 tokens at once (docs/models-and-gpus.md)."""
    counted = state(Model(**TWO), training, 1)
    assert counted < measured * GB < counted + ROOM["cuda"]


def test_what_cannot_fit_is_refused_with_what_would() -> None:
    with pytest.raises(TooLarge) as refused:
        refuse_too_large(base(SEVEN), {"sft": SFT}, machine(1, 85))
    assert str(refused.value) == (
        "sft trains 6.9e9 parameters: that takes 124.2 GB of memory, and a GPU has 85.0 GB. Take 2 such GPUs, or "
        "`lora = 16` for this arm (34.3 GB), or a smaller model."
    )


@pytest.mark.parametrize("gpu", [16, 24, 48, 80, 141])
@pytest.mark.parametrize("batch_size", [12, 64, 512])
def test_so_many_gpus_would_do_and_no_fewer(gpu: int, batch_size: int) -> None:
    training = SFT.model_copy(update={"batch_size": batch_size})
    told = re.search(r"(\d+) such GPUs", ways_out(Model(**SEVEN), training, machine(1, gpu)))
    fits = [
        n
        for n in range(2, 65)
        if batch_size % n == 0 and max(16 / n, 4 + 4 / n) * SEVEN["parameters"] + ROOM["several"] <= gpu * GB
    ]
    assert (int(told[1]) if told else None) == (fits[0] if fits else None)


def test_an_adapter_is_offered_where_one_fits() -> None:
    assert "lora" not in ways_out(Model(**SEVEN), SFT, machine(1, 24))
    assert "lora" in ways_out(Model(**SEVEN), SFT, machine(1, 48))
    assert "lora" not in ways_out(Model(**SEVEN), LORA, machine(1, 48))


def test_what_may_not_fit_is_told_and_tried() -> None:
    asked = {"sft": SFT, "adapter": LORA}
    (doubt,) = refuse_too_large(base(TWO), asked, machine(1, 34))
    assert doubt.startswith("sft may run out of memory: 32.6 of 34.0 GB")
    assert refuse_too_large(base(TWO), asked, machine(1, 40)) == []
    with pytest.raises(TooLarge, match="sft trains"):
        refuse_too_large(base(TWO), asked, machine(1, 32))


def test_as_many_gpus_count_as_share_the_batch() -> None:
    """Of three only two share 64 rows evenly; an adapter trains on one."""
    assert refuse_too_large(base(SEVEN), {"sft": SFT}, machine(4, 48)) == []
    with pytest.raises(TooLarge, match=r"55.2 GB of memory on each of 2 GPUs"):
        refuse_too_large(base(SEVEN), {"sft": SFT}, machine(3, 48))
    with pytest.raises(TooLarge, match=r"with lora: that takes 34.3 GB of memory, and a GPU has 24.0 GB. Take a small"):
        refuse_too_large(base(SEVEN), {"sft": LORA}, machine(8, 24))


def test_parts_of_gpus_are_not_taken_together() -> None:
    """A process sees one of them, whatever it is shown."""
    parts = ("MIG-0a1b", "MIG-77c2")
    assert shared_out(parts, 64) == parts[:1]
    assert refuse_too_large(base(SEVEN), {"sft": SFT}, Machine(parts, None, int(30 * GB))) == []


def test_each_of_several_gpus_has_the_model_whole_before_it_is_divided() -> None:
    """However many they are: all of it with the shard that it gives, or with the reference's bfloat16 copies."""
    preference = SFT.model_copy(update={"loss": Loss(prefer=1.0)})
    for training, least in ((SFT, 4 + 4 / 8), (preference, 6.0)):
        assert state(Model(**SEVEN), training, 8) == least * SEVEN["parameters"]
        with pytest.raises(TooLarge, match=r"on each of 8 GPUs, and a GPU has 24.0 GB. Take a smaller model"):
            refuse_too_large(base(SEVEN), {"arm": training}, machine(8, 24))
    assert state(Model(**SEVEN), preference, 2) == 8 * SEVEN["parameters"]
    assert state(Model(**SEVEN), preference, 1) == state(Model(**SEVEN), SFT, 1)


def test_the_first_of_several_processes_gathers_what_was_trained() -> None:
    """However many they are: float32 weights, and the bfloat16 copies that are saved."""
    for gpus in (2, 8):
        assert refuse_too_large(base(SEVEN), {"sft": SFT}, machine(gpus, 80, host=42)) == []
        with pytest.raises(TooLarge, match=r"41.4 GB of the machine's own memory, and it has 40.0. Take `lora = 16`"):
            refuse_too_large(base(SEVEN), {"sft": SFT}, machine(gpus, 80, host=40))
    with pytest.raises(TooLarge) as found:
        refuse_too_large(base(SEVEN), {"sft": SFT}, machine(8, 141, host=40))
    assert "Take 1 of them alone (CUDA_VISIBLE_DEVICES), or `lora = 16`" in str(found.value)
    assert refuse_too_large(base(SEVEN), {"sft": SFT}, machine(1, 141, host=40)) == []


@pytest.mark.parametrize("training", [SFT, LORA])
def test_no_advice_that_would_be_refused_in_turn(training: Training) -> None:
    """One GPU holds the training; the machine's own memory does not hold the model, whatever is trained of it."""
    with pytest.raises(TooLarge) as refused:
        refuse_too_large(base(SEVEN), {"sft": training}, machine(1, 141, host=12))
    assert str(refused.value).endswith("and it has 12.0. Take a machine with more memory, or a smaller model.")
    assert "on 1 GPUs" not in str(refused.value)
    assert "lora = " not in ways_out(Model(**SEVEN), SFT, machine(1, 48, host=12))


def test_a_start_that_is_kept_beside_the_model_counts() -> None:
    kept = SFT.model_copy(update={"loss": Loss(nll=1.0, kl=1.0), "exact_kl": True})
    assert state(Model(**TWO), kept, 1) - state(Model(**TWO), SFT, 1) == 4 * TWO["parameters"]
    assert state(Model(**TWO), kept.model_copy(update={"lora": 8}), 1) == state(Model(**TWO), LORA, 1)
    assert refuse_too_large(base(SEVEN), {"sft": SFT}, machine(4, 80, host=100)) == []
    with pytest.raises(TooLarge, match=r"on 4 GPUs: .* 110.4 GB of the machine's own memory"):
        refuse_too_large(base(SEVEN), {"sft": kept}, machine(4, 80, host=100))


def test_on_a_cpu_the_machines_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_HOME", str(tmp_path))  # no stack: its login would lead later tests to another server
    with pytest.raises(TooLarge, match=r"takes 110.4 GB of memory, and this machine has 64.0 GB. Take `lora = 16`"):
        refuse_too_large(base(SEVEN), {"sft": SFT}, machine(0, 0, host=64))
    assert refuse_too_large(base({"parameters": 10**6, "head": 10**5}), {"sft": SFT}, Machine.here()) == []


def test_the_smallest_visible_gpu_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\n[ "$1" = --id=0,2 ] && printf "81559\\n24564\\n"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpu_memory(["0", "2"]) == 24564 << 20
    assert gpu_memory(["MIG-0a1b"]) is None


@pytest.mark.parametrize(
    "answer", ["echo '[N/A]'", "echo 24564; echo '[Not Supported]'", "echo none; exit 6", "exit 9"]
)
def test_memory_that_the_tool_does_not_tell_is_not_known(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a GPU that shares the machine's memory; of a UUID that is cut short, which CUDA takes. A round goes on."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpu_memory(["0", "GPU-8f3a"]) is None
    assert refuse_too_large(base(SEVEN), {"sft": SFT}, Machine(("0",), None, int(200 * GB))) == []


@pytest.mark.parametrize(("limit", "found"), [("max\n", None), ("1000000\n", 1_000_000)])
def test_a_container_has_what_it_may_use(limit: str, found: int | None, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(limit)
    assert memory(tmp_path / "memory.max") == (found or memory(tmp_path / "none"))


def test_the_readmes_table_is_computed() -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text()
    rows: list[Any] = re.findall(r"^ *\| [^|]+, ([\d.]+)e9 \| (.+) \|$", text, re.MULTILINE)
    assert rows
    for billions, cells in rows:
        model = Model(parameters=int(float(billions) * GB), head=0)
        assert cells.split(" | ") == [f"{state(model, SFT, n) / GB:.0f}" for n in (1, 2, 4, 8)]

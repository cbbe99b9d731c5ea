"""Two engines of one home: which settings each gets."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.engine import policy_and_value
from infra.engine.launch import arguments, launch_signature, servers
from infra.engine.model_folder import ModelFolder
from infra.environment import Environment

OURS, THEIRS = "http://127.0.0.1:1", "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("device", "policy_urls", "value_urls", "memory", "each"),
    [
        ("cuda", [], [], 0.4, 2),
        ("cuda", [OURS], [], 0.8, 4),
        ("cuda", [], [THEIRS], 0.8, 4),
        ("cpu", [], [], 0.8, 1),
    ],
)
def test_two_local_engines_share_a_gpu_and_nothing_else(
    device: Any,
    policy_urls: list[str],
    value_urls: list[str],
    memory: float,
    each: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("infra.engine.launch.cores", lambda: 16)
    given = Environment(
        home=tmp_path, device=device, engine_urls=policy_urls, value_engine_urls=value_urls, engine_memory=0.8
    )
    first, second = policy_and_value(given)
    assert (first.engine_urls, second.engine_urls) == (policy_urls, value_urls)
    assert (first.home, second.home) == (tmp_path, tmp_path / "value")
    assert first.engine_memory == second.engine_memory == memory
    assert servers(first) == servers(second) == each


def test_an_engine_that_fills_a_gpu_makes_room_for_a_second(
    micro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    folder = ModelFolder.read(micro)
    alone = Environment(home=tmp_path, device="cuda", engine_urls=[], value_engine_urls=[])
    beside, _ = policy_and_value(alone)
    assert launch_signature(folder, alone) != launch_signature(folder, beside)
    words = arguments(folder, beside, httpx.URL("http://127.0.0.1:1"))
    assert words[words.index("--gpu-memory-utilization") + 1] == "0.425"

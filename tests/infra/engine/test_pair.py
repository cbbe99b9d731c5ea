"""Two engines of one home: which settings each gets, and that a search takes V from the second."""

import asyncio
import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import torch

from infra.contract.model_folder import ValueWords
from infra.engine import side_by_side, stop_local_engines
from infra.engine.launch import arguments, launch_signature
from infra.engine.model_folder import ModelFolder
from infra.engine.server import local_engine
from infra.environment import Environment
from infra.store import Ref
from infra.store.bucket import sha256
from tasks.language.format import PLANS
from tasks.running import served as policy
from tasks.running.served import SearchPolicy, serve_both
from tasks.running.workplace import Workplace
from tasks.search.method import Draw
from tests.infra.engine.engine_search import PROBLEMS, SETTINGS
from trainers.model_folder import load_model

OURS, THEIRS = "http://127.0.0.1:1", "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("device", "policy_urls", "value_urls", "memory"),
    [
        ("cuda", [], [], 0.4),
        ("cuda", [OURS], [], 0.8),
        ("cuda", [], [THEIRS], 0.8),
        ("cpu", [], [], 0.8),
    ],
)
def test_two_local_engines_share_a_gpu_and_nothing_else(
    device: Any, policy_urls: list[str], value_urls: list[str], memory: float, tmp_path: Path
) -> None:
    given = Environment(
        home=tmp_path, device=device, engine_urls=policy_urls, value_engine_urls=value_urls, engine_memory=0.8
    )
    first, second = side_by_side(given)
    assert (first.engine_urls, second.engine_urls) == (policy_urls, value_urls)
    assert (first.home, second.home) == (tmp_path, tmp_path / "value")
    assert first.engine_memory == second.engine_memory == memory


def test_an_engine_that_fills_a_gpu_makes_room_for_a_second(
    micro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    folder = ModelFolder.read(micro)
    alone = Environment(home=tmp_path, device="cuda", engine_urls=[], value_engine_urls=[])
    beside, _ = side_by_side(alone)
    assert launch_signature(folder, alone) != launch_signature(folder, beside)
    words = arguments(folder, beside, httpx.URL("http://127.0.0.1:1"))
    assert words[words.index("--gpu-memory-utilization") + 1] == "0.425"


@pytest.mark.integration
def test_a_search_takes_v_from_the_value_model_and_the_rest_from_the_policy(
    micro: Path, small_engine: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both served at once; V of every sample is that of the value model's own forward pass, and not the policy's."""
    from shutil import copytree

    from trainers.model_folder import load_tokenizer, make_probe, save, tokenizer_files

    of_value = copytree(micro, tmp_path / "value")
    model, words = load_model(of_value), ValueWords.read(of_value)
    with torch.no_grad():
        model.get_output_embeddings().weight[[words.good, words.bad]] *= -3.0
    probe = make_probe(
        lambda ids: model(input_ids=ids).logits, load_tokenizer(micro), words, torch.float32, torch.device("cpu")
    )
    save(of_value, model, model.state_dict(), torch.float32, words, probe, tokenizer_files(micro))
    folders = {"policy": micro, "value": of_value}
    refs = {name: Ref(uri=f"s3://none/{name}/manifest.json", sha256=sha256(name.encode()), rows=0) for name in folders}
    store = SimpleNamespace(folder=lambda ref, _: folders[ref.uri.split("/")[3]])
    workplace = cast(Workplace, SimpleNamespace(store=store, log=logging.getLogger("stage")))
    monkeypatch.setattr(policy, "environment", lambda: small_engine)

    async def run() -> None:
        async with serve_both(workplace, refs["policy"], refs["value"], PLANS) as (served, judging):
            assert judging is not None
            assert served.engine.addresses != judging.engine.addresses
            searcher = SearchPolicy(served, SETTINGS, judging)
            for problem in PROBLEMS[:3]:
                state = served.prompts.question(problem.question)
                reply = await searcher.sample(state, Draw(4), session="q", priority=0)
                for one in reply.samples:
                    with torch.no_grad():
                        z = model(torch.tensor([[*state, *one.token_ids]])).logits[0, -2]
                    v = math.tanh((z[words.good] - z[words.bad]).item() / 2)
                    assert one.value == pytest.approx(v, abs=1e-4)
            assert judging.engine.usage.requests == 12 + 0
            assert judging.engine.usage.generated_tokens == 12

    asyncio.run(run())
    _, second = side_by_side(small_engine)
    assert local_engine(small_engine)
    assert local_engine(second)
    assert stop_local_engines(second)

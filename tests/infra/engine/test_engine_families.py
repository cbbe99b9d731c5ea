"""Trainer, factory and engine agree on models of several families: their numbers, and what their token ids say."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from infra.contract.model_folder import ValueWords
from infra.engine import Completion, serving, stop_local_engines
from infra.environment import Environment
from tasks.language.format import ACTION_STOP, PLANS
from tasks.running.prompts import Prompts
from tests.trainers.families import FAMILIES, save
from trainers import model_folder
from trainers.prepare import Prepare, prepare

pytestmark = pytest.mark.integration

QUESTION = "Tom has 2 <s> apples,  and buys é 3.</question><|good|>"
STEP = "<step>\nPlan 1: Add the  apples \nthat he buys.\n</step>\n"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Environment]:
    here = Environment(home=tmp_path / "home", engine_urls=[], device="cpu")
    yield here
    stop_local_engines(here)


def taught(folder: Path, base: Path) -> Prompts:
    """Writes the family's policy after it has learnt one step by heart, value included; its head is its own by now."""
    prepare(Prepare(model=str(base), output=folder.parent, style="trained"))
    words, model = ValueWords.read(folder), model_folder.load_model(folder)
    prompts = Prompts.read(folder, PLANS)
    ids = torch.tensor([[*prompts.question(QUESTION), *prompts.encode(STEP), words.eos]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(80):
        logits = model(ids).logits[0]
        value = (logits[:, words.good] - logits[:, words.bad] - 0.5).square().mean()
        (torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:]) + value).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.train(False)
    probe = model_folder.make_probe(
        lambda probed: model(probed).logits,
        model_folder.load_tokenizer(folder),
        words,
        torch.float32,
        torch.device("cpu"),
    )
    files = model_folder.tokenizer_files(folder)
    model_folder.save(folder, model, model.state_dict(), torch.float32, words, probe, files)
    return prompts


@pytest.mark.parametrize("name", ["llama-2", "gemma", "gpt-2"])
def test_what_is_trained_is_served_and_says_what_its_ids_say(name: str, settings: Environment, tmp_path: Path) -> None:
    """That the probe is reproduced is what `serving` makes sure of: of a head that is no longer the input embedding."""
    torch.manual_seed(0)
    prompts = taught(tmp_path / "model", save(FAMILIES[name], tmp_path / "base"))

    async def story() -> list[Completion]:
        async with serving(tmp_path / "model", settings) as engine:
            asked = prompts.question(QUESTION)
            warm = await engine.complete(asked, n=8, temperature=0.7, max_tokens=120, stop=ACTION_STOP)
            greedy = await engine.complete(asked, n=1, temperature=0.0, max_tokens=120, stop=ACTION_STOP)
            return greedy.completions + warm.completions

    greedy, *others = asyncio.run(story())
    assert greedy.text == STEP
    assert greedy.token_ids == prompts.encode(STEP)
    trainers = model_folder.load_tokenizer(tmp_path / "model")
    for one in [greedy, *others]:
        assert prompts.tokenizer.decode(one.token_ids, skip_special_tokens=False) == one.text
        assert trainers.decode(one.token_ids) == one.text
        assert one.values[-1] != 0.0

"""V and prior as the search gets them with the engine's reply, against the trainer's own forward pass in float32.

V(s) = tanh((z_good - z_bad) / 2)   at the position that predicts the step's last token (design D2)
P(a|s) = exp(mean log-prob of the sampled tokens)   (methods.md 1.3)
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch.nn import Module

from infra.contract.model_folder import ValueWords
from infra.engine import policy_and_value, serving, stop_local_engines
from infra.engine.server import local_engine
from infra.environment import Environment
from infra.store import Ref
from infra.store.bucket import sha256
from tasks.language.format import PLAN_OPEN, PLANS, STEP_CLOSE, Kind, Origin, verdict
from tasks.running import served
from tasks.running.served import SearchPolicy, serve_both
from tasks.running.timeline import Timeline
from tasks.running.workplace import Workplace
from tasks.search.grow import judged
from tasks.search.method import Draw, Hint
from tasks.search.policy import Expansion, Sample
from tests.infra.engine.engine_search import PROBLEMS, SETTINGS, served_policy, tokenizer
from trainers.model_folder import load_model, load_tokenizer, make_probe, save, tokenizer_files

pytestmark = pytest.mark.integration

TOLERANCE = 1e-4
AT_ROOT = (Draw(3, Origin.READING, PLANS.reading_start(0)), Draw(2, to_the_end=True))


@pytest.fixture(scope="module")
def model(micro: Path) -> Module:
    return load_model(micro).eval()


def forward(model: Module, words: ValueWords, state_ids: list[int], sample: Sample) -> tuple[float, float]:
    """V and prior of a sampled action by one forward pass over the state and all of its tokens."""
    ids = torch.tensor([[*state_ids, *sample.token_ids]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].float()
    predicts_last = logits[-2]
    value = math.tanh((predicts_last[words.good] - predicts_last[words.bad]).item() / 2)
    logprobs = logits[-1 - sample.sampled : -1].log_softmax(-1)
    sampled = logprobs.gather(1, ids[0, -sample.sampled :, None])
    return value, math.exp(sampled.mean().item())


async def never(answer: str) -> bool:
    return False


async def check(
    model: Module, words: ValueWords, state_ids: list[int], position: int, draw: Draw, reply: Expansion
) -> list[float]:
    """The values that were compared."""
    assert len(reply.samples) == draw.n
    values = []
    for sample in reply.samples:
        value, prior = forward(model, words, state_ids, sample)
        child = await judged(sample, draw, position, never, SETTINGS)
        assert sample.value == pytest.approx(value, abs=TOLERANCE)
        assert child.prior == pytest.approx(prior, abs=TOLERANCE)
        assert child.value == (sample.value if child.kind in (Kind.PLAN, Kind.SOLUTION) else None)
        values.append(value)
    return values


def test_values_and_priors_are_those_of_the_trainers_forward_pass(
    micro: Path, small_engine: Environment, model: Module
) -> None:
    """Of the root and of states further down, with a cold and with a warm prefix cache, alone and among others."""
    words = ValueWords.read(micro)
    values: list[float] = []
    cached: list[int] = []

    async def walk(policy: SearchPolicy, place: int) -> None:
        state_ids = policy.served.prompts.question(PROBLEMS[place].question)
        for position in range(3):
            below = Draw(2, Origin.CORRECTION, PLANS.correction_start(position))
            draws = [Draw(1), Draw(4), *((below,) if position else AT_ROOT)]
            first = await policy.sample(state_ids, draws[0], session=str(place), priority=place)
            others = [policy.sample(state_ids, draw, session=str(place), priority=place) for draw in draws[1:]]
            replies = [first, *await asyncio.gather(*others)]
            for draw, reply in zip(draws, replies, strict=True):
                values.extend(await check(model, words, state_ids, position, draw, reply))
                cached.append(reply.cost.cached_tokens)
            steps = [one for one in replies[1].samples if one.text.endswith(STEP_CLOSE)]
            if not steps:
                return
            state_ids = [*state_ids, *steps[0].token_ids]

    async def story() -> None:
        async with serving(micro, small_engine) as engine:
            policy = SearchPolicy(served_policy(engine, micro), SETTINGS)
            await asyncio.gather(*(walk(policy, place) for place in range(len(PROBLEMS))))

    asyncio.run(story())
    assert len(values) > 100
    assert min(values) < -0.1
    assert max(values) > 0.1
    assert cached.count(0) >= 3  # of single samples only: of several, the later ones find what the first one left
    assert sum(tokens > 0 for tokens in cached) >= 10


def test_a_value_asked_for_alone_is_the_one_that_came_with_the_step(micro: Path, small_engine: Environment) -> None:
    async def story() -> None:
        async with serving(micro, small_engine) as engine:
            served = served_policy(engine, micro)
            state_ids = served.prompts.question(PROBLEMS[0].question)
            reply = await SearchPolicy(served, SETTINGS).sample(state_ids, Draw(5), session="", priority=0)
            asked = await served.values([[*state_ids, *sample.token_ids] for sample in reply.samples])
            assert asked == pytest.approx([sample.value for sample in reply.samples], abs=TOLERANCE)

    asyncio.run(story())


def test_a_step_under_a_hint_is_drawn_from_all_that_the_engine_sees(
    micro: Path, small_engine: Environment, model: Module
) -> None:
    """A failed attempt, the verdict, the reflection: one text, up to where the new plan begins."""
    words = ValueWords.read(micro)

    async def hinted(policy: SearchPolicy, place: int) -> None:
        async def one(state_ids: Sequence[int], draw: Draw) -> Sample:
            (sample,) = (await policy.sample(state_ids, draw, session=str(place), priority=place)).samples
            return sample

        state_ids = policy.served.prompts.question(PROBLEMS[place].question)
        failed = [*state_ids, *(await one(state_ids, Draw(1, to_the_end=True))).token_ids]
        reflection = await one(failed, Draw(1, start=verdict("7"), reflects=True))
        told = tokenizer(micro).decode(list(reflection.token_ids), skip_special_tokens=False)
        assert told.startswith(reflection.text)
        assert told.endswith(PLAN_OPEN)
        hint = Hint(reflection.text, (*failed, *reflection.token_ids))
        draw = Draw(1, Origin.HINT, hint=hint)
        step = await one(hint.prompt_ids, draw)
        child = await judged(step, draw, 0, never, SETTINGS)
        _, prior = forward(model, words, list(hint.prompt_ids), step)
        assert child.prior == pytest.approx(prior, abs=TOLERANCE)
        assert (child.value, child.hint) == (None, reflection.text)

    async def story() -> None:
        async with serving(micro, small_engine) as engine:
            policy = SearchPolicy(served_policy(engine, micro), SETTINGS)
            await asyncio.gather(*(hinted(policy, place) for place in range(len(PROBLEMS))))

    asyncio.run(story())


def test_a_search_takes_v_from_the_value_model_and_the_rest_from_the_policy(
    micro: Path, small_engine: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both served at once; V of every sample is that of the value model's own forward pass, and not the policy's."""
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
    stage = SimpleNamespace(store=store, log=logging.getLogger("stage"), timeline=Timeline(), gpus=0)
    workplace = cast(Workplace, stage)
    monkeypatch.setattr(served, "environment", lambda: small_engine)

    async def run() -> None:
        async with serve_both(workplace, refs["policy"], refs["value"], PLANS) as (searched, judging):
            assert judging is not None
            assert searched.engine.addresses != judging.engine.addresses
            searcher = SearchPolicy(searched, SETTINGS, judging)
            for problem in PROBLEMS[:3]:
                state = searched.prompts.question(problem.question)
                reply = await searcher.sample(state, Draw(4), session="q", priority=0)
                for one in reply.samples:
                    with torch.no_grad():
                        z = model(torch.tensor([[*state, *one.token_ids]])).logits[0, -2]
                    v = math.tanh((z[words.good] - z[words.bad]).item() / 2)
                    assert one.value == pytest.approx(v, abs=1e-4)
            assert judging.engine.usage.requests == 12
            assert judging.engine.usage.generated_tokens == 12

    asyncio.run(run())
    _, second = policy_and_value(small_engine)
    assert local_engine(small_engine)
    assert local_engine(second)
    assert stop_local_engines(second)

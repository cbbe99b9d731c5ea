"""V and prior as the search gets them with the engine's reply, against the trainer's own forward pass in float32.

V(s) = tanh((z_good - z_bad) / 2)   at the position that predicts the step's last token (design D2)
P(a|s) = exp(mean log-prob of the sampled tokens)   (methods.md 1.3)
"""

import asyncio
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import Module

from infra.contract.model_folder import ValueWords
from infra.engine import serving
from infra.environment import Environment
from tasks.check import Checker
from tasks.language.format import STEP_CLOSE, Kind, correction_start, plan_steps, reading_start
from tasks.running.served import SearchPolicy
from tasks.search.grow import Expansion, Sample, judged
from tasks.search.method import Draw
from tasks.search.tree import Origin
from tasks.settings import Rollouts
from tasks.stages.rollouts import attempts
from tests.infra.engine.engine_search import PROBLEMS, SETTINGS, question, served_policy, tokenizer
from trainers.model_folder import load_model

pytestmark = pytest.mark.integration

TOLERANCE = 1e-4
AT_ROOT = (Draw(3, Origin.READING, reading_start(0)), Draw(2, to_the_end=True))


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
        child = await judged(sample, draw, position, never, SETTINGS.max_depth)
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
        state_ids = policy.served.question(PROBLEMS[place].question)
        for position in range(3):
            below = Draw(2, Origin.CORRECTION, correction_start(position))
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
            state_ids = served.question(PROBLEMS[0].question)
            reply = await SearchPolicy(served, SETTINGS).sample(state_ids, Draw(5), session="", priority=0)
            asked = await served.values([[*state_ids, *sample.token_ids] for sample in reply.samples])
            assert asked == pytest.approx([sample.value for sample in reply.samples], abs=TOLERANCE)

    asyncio.run(story())


def test_the_steps_of_a_rollout_end_where_the_search_would_end_them(micro: Path, small_engine: Environment) -> None:
    """So V of a step has one place, whether its question was searched or only rolled out."""
    settings = Rollouts(samples=2, trials=1, temperature=1.0, max_plan_tokens=192, max_solution_tokens=192)

    async def story() -> list[dict[str, Any]]:
        async with serving(micro, small_engine) as engine, Checker() as checker:
            served = served_policy(engine, micro)
            asked = [question(problem) | {"question_id": "", "question": problem.question} for problem in PROBLEMS]
            parts = [attempts(one, place, served, checker, settings) for place, one in enumerate(asked)]
            return [dict(row) for part in await asyncio.gather(*parts) for row in part.rows["rollouts"]]

    ends = 0
    for row in asyncio.run(story()):
        steps = plan_steps(row["plan"], settings.max_depth)
        begun = [tokenizer(micro).decode(row["plan_ids"][: end + 1]) for end in row["step_ends"]]
        assert begun == list(itertools.accumulate(steps))
        ends += len(begun)
    assert ends > len(PROBLEMS)

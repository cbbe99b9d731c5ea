"""Searches of several trees on a real engine that fails: they finish or fail, and no reward is invented (design D4).

The faults are chosen by a seed and by what is asked, so that they do not depend on who comes first.
"""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.engine import Engine, EngineError, ModelFolder, serving
from infra.engine.connections import bearer
from infra.engine.server import LocalEngine, local_engine
from infra.engine.supervision import RESTARTS
from infra.environment import Environment
from tasks.language.format import PLANS
from tasks.search.grow import Grown
from tests.infra.conftest import KV_BLOCKS
from tests.infra.engine.engine_proxy import FAULTS, Fault, proxy
from tests.infra.engine.engine_search import PROBLEMS, check_finished, check_rewards, search, tokenizer
from tests.infra.engine.in_flight import most_in_flight

pytestmark = pytest.mark.integration

KV_TOKENS = 32 * KV_BLOCKS
PATIENCE = 3.0
"""Seconds for a request, where replies of `SLOW_SECONDS` are among the faults."""
REASONS = {
    "slow": "TimeoutError",
    "server error": "500 EngineCore encountered an issue",
    "closed connection": "disconnected",
    "truncated JSON": "invalid JSON",
    "truncated body": "not completed",
    "invalid token ids": "outside the vocabulary",
}


@pytest.fixture
def running(micro: Path, small_engine: Environment) -> LocalEngine:
    """A local engine that serves micro."""

    async def start() -> None:
        async with serving(micro, small_engine):
            pass

    asyncio.run(start())
    engine = local_engine(small_engine)
    assert engine is not None
    return engine


def client(address: str, micro: Path, running: LocalEngine, **options: Any) -> Engine:
    """Of the running engine, at its own address or a proxy's."""
    folder = ModelFolder.read(micro)
    how: dict[str, Any] = {"timeout": 60.0, "backoff": 0.05, "key": running.key} | options
    return Engine([address], folder.words, folder.vocabulary, **how)


class Script:
    """Up to `most` faults for this share of the prompts, then none; `met` counts them by name."""

    def __init__(self, names: list[str], *, seed: int, share: float, most: int) -> None:
        self.seed = seed
        self.names = names
        self.share = share
        self.most = most
        self.met: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    def __call__(self, request: dict[str, Any]) -> Fault | None:
        prompt = str(request["prompt"])
        rng = random.Random(f"{self.seed}/{prompt}")
        planned = rng.choices(self.names, k=rng.randint(1, self.most)) if rng.random() < self.share else []
        self._asked[prompt] += 1
        if self._asked[prompt] > len(planned):
            return None
        name = planned[self._asked[prompt] - 1]
        self.met[name] += 1
        return FAULTS[name]


@pytest.mark.parametrize("names", [[name for name in FAULTS if name != "slow"], list(FAULTS)], ids=["quick", "all"])
def test_a_search_outlives_faults_that_pass(names: list[str], micro: Path, running: LocalEngine) -> None:
    # What is slow costs the test its patience each time.
    share, patience = (0.15, PATIENCE) if "slow" in names else (0.3, 60.0)
    script = Script(names, seed=1, share=share, most=3)

    async def story() -> list[Grown]:
        async with proxy(running.url, script) as address, client(address, micro, running, timeout=patience) as engine:
            forest = await search(engine, micro)
            check_finished(forest, engine)
            assert engine.usage.failed_requests == script.met.total()
            await check_rewards(forest, micro)
            return forest

    forest = asyncio.run(story())
    marked = [grown.tree_rows[0]["failed_requests"] for grown in forest]
    assert sum(marked) == script.met.total()
    assert set(script.met) == set(names)


@pytest.mark.parametrize("names", [list(FAULTS)[:3], list(FAULTS)[3:]], ids=" and ".join)
def test_a_fault_that_stays_fails_its_tree_and_no_other(names: list[str], micro: Path, running: LocalEngine) -> None:
    """Of three questions, each with its fault, nothing but the root's actions is ever answered."""
    hit = dict(zip((1, 3, 4), names, strict=True))
    encode = tokenizer(micro).encode
    roots = {place: encode(PLANS.prompt(PROBLEMS[place].question)).ids for place in hit}

    def script(request: dict[str, Any]) -> Fault | None:
        prompt = request["prompt"]
        for place, root in roots.items():
            if prompt[: len(root)] == root and len(prompt) > len(root):
                return FAULTS[hit[place]]
        return None

    async def story() -> list[Grown]:
        patience = PATIENCE if "slow" in names else 60.0
        async with (
            proxy(running.url, script) as address,
            client(address, micro, running, timeout=patience, attempts=2) as engine,
        ):
            forest = await search(engine, micro)
            await check_rewards(forest, micro)
            return forest

    forest = asyncio.run(story())
    for place, grown in enumerate(forest):
        (row,) = grown.tree_rows
        if place in hit:
            assert row["state"] == "failed"
            assert row["expansions"] == 1
            assert row["failed_requests"] >= 2
            assert "in 2 attempts" in row["error"]
            assert REASONS[hit[place]] in row["error"]
        else:
            assert row["state"] in ("budget", "exhausted")
            assert (row["failed_requests"], row["error"]) == (0, None)


def test_requests_wait_for_a_cache_that_is_full(micro: Path, running: LocalEngine) -> None:
    async def story() -> None:
        async with client(running.url, micro, running) as engine:
            assert engine.token_budget == KV_TOKENS
            most, forest = await most_in_flight(engine, search(engine, micro))
            check_finished(forest, engine)
            assert engine.usage.failed_requests == 0
            assert engine.usage.queue_seconds > 0.1 * engine.usage.service_seconds
            assert KV_TOKENS // 2 < most <= KV_TOKENS
            await check_rewards(forest, micro)

    asyncio.run(story())


def test_an_engine_that_preempts_gives_the_same_kind_of_trees(micro: Path, running: LocalEngine) -> None:
    """The client is told of a cache that is many times larger than the engine's."""

    async def preemptions() -> float:
        async with httpx.AsyncClient(trust_env=False, headers=bearer(running.key)) as http:
            metrics = (await http.get(f"{running.url}/metrics")).text
        return sum(map(float, re.findall(r"^vllm:num_preemptions_total\{.*\} (\S+)", metrics, re.MULTILINE)))

    async def story() -> None:
        before = await preemptions()
        async with client(running.url, micro, running, budget=100 * KV_TOKENS) as engine:
            forest = await search(engine, micro)
            check_finished(forest, engine)
            assert engine.usage.failed_requests == 0
            assert await preemptions() > before
            await check_rewards(forest, micro)

    asyncio.run(story())


async def search_and_kill(engine: Engine, micro: Path, settings: Environment) -> tuple[LocalEngine, list[Grown]]:
    """A search whose engine is killed in the middle, and the engine that it was."""
    before = local_engine(settings)
    assert before is not None
    searching = asyncio.create_task(search(engine, micro))
    while engine.usage.requests < 15:
        await asyncio.sleep(0.01)
    assert not searching.done()
    os.kill(before.pid, signal.SIGKILL)
    return before, await searching


def test_a_search_goes_on_where_it_was_when_its_engine_is_killed(micro: Path, small_engine: Environment) -> None:
    messages: list[str] = []

    async def story() -> list[Grown]:
        async with serving(micro, small_engine, messages.append) as engine:
            before, forest = await search_and_kill(engine, micro, small_engine)
            after = local_engine(small_engine)
            assert after is not None
            assert after.pid != before.pid
            check_finished(forest, engine)
            await check_rewards(forest, micro)
            return forest

    forest = asyncio.run(story())
    assert sum("the engine died" in message for message in messages) == 1
    assert any(grown.tree_rows[0]["failed_requests"] for grown in forest)


def test_an_engine_that_does_not_start_again_fails_every_tree_with_the_reason(
    micro: Path, small_engine: Environment
) -> None:
    messages: list[str] = []
    launcher = small_engine.engine_python
    sound = launcher.read_text()

    async def story() -> list[Grown]:
        async with serving(micro, small_engine, messages.append) as engine:
            launcher.write_text("#!/bin/sh\necho 'MemoryError: no memory is left'\nexit 1\n")
            _, forest = await search_and_kill(engine, micro, small_engine)
            with pytest.raises(EngineError, match="no memory is left"):
                await engine.values([[5, 6, 7]])
            await check_rewards(forest, micro)
            return forest

    try:
        forest = asyncio.run(story())
    finally:
        launcher.write_text(sound)
    assert sum("the engine died" in message for message in messages) == RESTARTS
    for (row,) in (grown.tree_rows for grown in forest):
        assert row["state"] == "failed"
        assert "after 3 restarts" in row["error"]
        assert "no memory is left" in row["error"]

"""The simulation of a round on many GPUs: its clock, its passes against published figures, and cases worked out by
hand."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from tasks.language.format import PLANS, Kind
from tests.bench.fleet import EXPANSION_SECONDS, HTTP_SECONDS, Fleet, Lengths, Replies
from tests.bench.gpu import GPU, MODELS, PUBLISHED, Model, PrefixCache
from tests.bench.simulation import SCHEDULES, Case, search, simulate
from tests.bench.virtual import Core, Deadlock, in_virtual_time

QWEN = MODELS["qwen3-8b"]
LOADS = [(*workload, users) for workload, loads in PUBLISHED.items() for users in loads]


class OneSecond(Model):
    """Every pass takes a second."""

    def pass_seconds(self, **_: int) -> float:
        return 1.0


SLOW = OneSecond(read=1.0, kv_bytes=1, cache_tokens=10_000)


async def ended(*work: Coroutine[Any, Any, Any], gpus: list[GPU]) -> float:
    """Seconds until all of it was done."""
    running = [asyncio.create_task(gpu.run()) for gpu in gpus]
    await asyncio.gather(*work)
    for one in running:
        one.cancel()
    return asyncio.get_running_loop().time()


def test_hours_pass_at_once_and_in_order() -> None:
    seen: list[tuple[str, float]] = []

    async def wait(name: str, hours: float) -> None:
        await asyncio.sleep(3600 * hours)
        seen.append((name, asyncio.get_running_loop().time()))

    async def both() -> None:
        await asyncio.gather(wait("late", 5), wait("early", 2))

    began = time.monotonic()
    in_virtual_time(both())
    assert time.monotonic() - began < 60
    assert seen == [("early", 7200.0), ("late", 18000.0)]


def test_who_waits_for_nothing_is_told() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        in_virtual_time(for_ever())


def test_a_core_does_one_thing_at_a_time() -> None:
    async def work() -> tuple[float, float]:
        core = Core()
        await asyncio.gather(core.work(2.0), core.work(3.0))
        return asyncio.get_running_loop().time(), core.busy_seconds

    assert in_virtual_time(work()) == (5.0, 5.0)


@pytest.mark.parametrize(("prompt", "answer", "users"), LOADS)
def test_a_pass_takes_what_was_published(prompt: int, answer: int, users: int) -> None:
    context = users * (prompt + answer // 2)
    found = 1e3 * QWEN.pass_seconds(tokens=users, sequences=users, context=context)
    assert found == pytest.approx(PUBLISHED[prompt, answer][users][0], rel=0.04)


@pytest.mark.parametrize(("prompt", "answer", "users"), [load for load in LOADS if load[1] < 1024 and load[2] > 1])
def test_an_engine_serves_what_was_published(prompt: int, answer: int, users: int) -> None:
    """These throughputs were not fitted: the passes' times were."""

    async def user(gpu: GPU) -> None:
        for _ in range(5):
            await gpu.serve(bytes(prompt), [bytes(answer)], shared=0, cached=False)

    async def serve() -> float:
        gpu = GPU(QWEN, seats=1024)
        seconds = await ended(*(user(gpu) for _ in range(users)), gpus=[gpu])
        assert gpu.generated == users * 5 * answer
        assert gpu.computed == users * 5 * prompt
        return gpu.generated / seconds

    assert in_virtual_time(serve()) == pytest.approx(PUBLISHED[prompt, answer][users][1], rel=0.07)


def test_an_engine_gives_every_sequence_a_token_a_pass() -> None:
    async def serve() -> tuple[float, GPU, list[int]]:
        gpu = GPU(SLOW, seats=3)
        found: list[int] = []

        async def ask(prompt: bytes, *lengths: int) -> None:
            found.append(await gpu.serve(prompt, [bytes(length) for length in lengths], shared=4, cached=True))

        first, second = bytes(range(24)), bytes(range(100, 124))
        seconds = await ended(ask(first, 2, 5), ask(second, 3, 1), gpus=[gpu])
        await ended(ask(first, 1), gpus=[gpu])
        return seconds, gpu, found

    seconds, gpu, found = in_virtual_time(serve())
    assert seconds == 5.0  # the longest answer; the fourth sequence took the seat of the first after two passes
    assert (gpu.passes, gpu.generated, gpu.sequences) == (6, 12, 12)
    assert gpu.computed == 2 * (20 + 8) + 4  # who asks for two computes one prompt, and half a block once more
    assert found == [4, 4, 20]  # the shared tokens and, at last, a whole block


def test_a_full_cache_forgets_the_ends_of_old_prompts_first() -> None:
    cache = PrefixCache()
    old, new = PrefixCache.path(bytes(48)), PrefixCache.path(bytes([1] * 32))
    assert [cache.hold(path, 64) for path in (old, new, old[:2], new)] == [0, 0, 32, 32]
    assert cache.hold(old, 80) == 32


def test_a_tree_of_one_expansion_takes_what_it_takes_by_hand() -> None:
    """Five answers of 45 tokens to a prompt of 430, of which 330 are cached, and one client's time."""
    lengths = Lengths(spread=0.0)
    fleet, seconds = in_virtual_time(search(Case(questions=1, simulations=1, lengths=lengths)))
    context = 5 * 430
    passes = [QWEN.pass_seconds(tokens=100 + 4 * 14, sequences=5, context=context)]
    for number in range(44):
        passes.append(QWEN.pass_seconds(tokens=5, sequences=5, context=context + 5 * (number + 1)))
    assert seconds == pytest.approx(EXPANSION_SECONDS + sum(passes), rel=1e-6)
    assert fleet.usage.generated_tokens == 5 * 45


def test_what_is_asked_is_served_and_every_seat_is_given_back() -> None:
    async def search() -> tuple[list[GPU], Fleet]:
        gpus = [GPU(QWEN, seats=512) for _ in range(3)]
        fleet = Fleet(gpus, Replies(Lengths(), seed=1))

        def ask(number: int) -> Coroutine[Any, Any, Any]:
            prompt = [*fleet.replies.prefix, *fleet.replies.question(number)]
            return fleet.complete(
                prompt,
                n=3,
                temperature=0.7,
                max_tokens=1500,
                session=str(number % 20),
                shared=len(fleet.replies.prefix),
            )

        await ended(*map(ask, range(60)), fleet.values([[7] * 40]), gpus=gpus)
        return gpus, fleet

    gpus, fleet = in_virtual_time(search())
    assert fleet.usage.requests == 61
    assert sum(gpu.generated for gpu in gpus) == fleet.usage.generated_tokens > 60 * 3 * 10
    assert all(gpu.generated for gpu in gpus)
    assert {(one.tokens, one.sequences) for one in fleet._admissions.values()} == {(0, 0)}
    assert [gpu._held for gpu in gpus] == [0, 0, 0]
    assert fleet.core.busy_seconds == pytest.approx(60 * EXPANSION_SECONDS + HTTP_SECONDS)


def test_who_never_ends_writes_no_step_that_counts() -> None:
    (answer,) = Replies(Lengths(most=60, runaway=1.0), seed=1).answers([7], 1)
    assert len(answer.token_ids) == 60
    assert PLANS.parse_action(answer.text, 0).kind is Kind.MALFORMED


def test_lockstep_takes_longer_and_no_prefix_cache_longer_still() -> None:
    product, lockstep, uncached = (simulate(Case(questions=6, simulations=6, schedule=one)) for one in SCHEDULES)
    assert product.expansions == lockstep.expansions == uncached.expansions == 36
    assert product.seconds < 0.8 * lockstep.seconds
    assert lockstep.seconds < uncached.seconds
    assert uncached.cached == 0.0 < lockstep.cached

"""The engine's client when the engine fails: requests are tried again, and end in an error, never in a made-up reply.

The server here is scripted, because each fault must be forced; the real engine is in test_engine.py.
"""

import asyncio
import math
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from infra.contract.model_folder import ValueWords
from infra.engine.client import Engine
from infra.engine.load import Load
from infra.engine.reply import EngineError, Reply
from tests.infra.engine.in_flight import most_in_flight
from tests.infra.engine.scripted_engine import FAULTS, SILENCE, Respond, answer, choice, good, http, scripted_engine

WORDS = ValueWords(good=2, bad=3, eos=1, knows_format=True)
VOCABULARY = 50


def engine(*addresses: str, **options: Any) -> Engine:
    return Engine(addresses, WORDS, VOCABULARY, **({"backoff": 0.001} | options))


def sample(served: Engine, **options: Any) -> Coroutine[Any, Any, Reply]:
    return served.complete([4, 5, 6], **({"n": 2, "temperature": 0.7, "max_tokens": 20} | options))


def test_a_request_states_all_that_matters_and_its_reply_is_read() -> None:
    async def story() -> None:
        async with scripted_engine(good) as (address, asked), engine(address) as served:
            reply = await sample(served, stop=["</step>\n"])
            assert served.max_tokens == 512
            assert served.token_budget == 10_000
        assert len(asked[0].pop("cache_salt")) == 32
        assert asked == [
            {
                "model": "policy",
                "prompt": [4, 5, 6],
                "n": 2,
                "temperature": 0.7,
                "max_tokens": 20,
                "stop": ["</step>\n"],
                "include_stop_str_in_output": True,
                "skip_special_tokens": False,
                "stop_token_ids": [1],
                "logit_bias": {"2": -100.0, "3": -100.0},
                "logprobs": 0,
                "logprob_token_ids": [2, 3],
                "return_token_ids": True,
                "return_tokens_as_token_ids": True,
            }
        ]
        assert [one.token_ids for one in reply.completions] == [[7, 8, 9]] * 2
        assert reply.completions[0].logprobs == [-1.0] * 3
        assert reply.completions[0].values == pytest.approx([math.tanh(0.5)] * 3)
        usage = reply.usage
        assert (usage.prompt_tokens, usage.cached_tokens, usage.generated_tokens) == (3, 2, 6)
        assert (usage.requests, usage.failed_requests) == (1, 0)
        assert usage == served.usage

    asyncio.run(story())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_tried_again(fault: str) -> None:
    async def story() -> None:
        respond, _ = FAULTS[fault]
        async with scripted_engine(respond, respond, good) as (address, _), engine(address) as served:
            reply = await sample(served)
            assert [one.token_ids for one in reply.completions] == [[7, 8, 9]] * 2
            assert (reply.usage.requests, reply.usage.failed_requests) == (3, 2)
            assert reply.usage.generated_tokens == 6
            assert reply.usage == served.usage

    asyncio.run(story())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_an_error_that_says_how_often_and_why(fault: str) -> None:
    async def story() -> None:
        respond, reason = FAULTS[fault]
        async with scripted_engine(respond) as (address, asked), engine(address, attempts=4) as served:
            with pytest.raises(EngineError) as caught:
                await sample(served)
            assert "in 4 attempts" in str(caught.value)
            assert reason in str(caught.value)
            assert address in str(caught.value)
            assert len(asked) == 4
            spent = caught.value.spent
            assert (spent.requests, spent.failed_requests, spent.generated_tokens) == (4, 4, 0)
            assert spent == served.usage

    asyncio.run(story())


def test_a_slow_engine_times_out() -> None:
    async def story() -> None:
        async with (
            scripted_engine(lambda _: SILENCE) as (address, _),
            engine(address, timeout=0.1, attempts=2) as served,
        ):
            with pytest.raises(EngineError, match=r"in 2 attempts: .*TimeoutError"):
                await sample(served)

    asyncio.run(story())


def test_a_request_that_would_be_refused_again_is_not_tried_again() -> None:
    async def story() -> None:
        refusal = http(b'{"error": {"message": "prompt is too long"}}', "400 Bad Request")
        async with scripted_engine(lambda _: refusal) as (address, asked), engine(address) as served:
            with pytest.raises(EngineError, match="prompt is too long"):
                await sample(served)
            assert len(asked) == 1

    asyncio.run(story())


def test_a_session_stays_on_one_address_until_that_one_fails() -> None:
    async def story() -> None:
        lost = False

        def mortal(request: dict[str, Any]) -> bytes | None:
            return None if lost else good(request)

        async with (
            scripted_engine(good) as (first, asked_first),
            scripted_engine(mortal) as (second, asked_second),
            engine(first, second) as served,
        ):

            async def asked_for(session: str) -> tuple[int, int]:
                """Requests that each address got for this one of the session."""
                before = len(asked_first), len(asked_second)
                await sample(served, session=session)
                return len(asked_first) - before[0], len(asked_second) - before[1]

            assert served.token_budget == 20_000
            homes = {session: await asked_for(session) for session in "abcdefgh"}
            assert set(homes.values()) == {(1, 0), (0, 1)}
            assert {session: await asked_for(session) for session in homes} == homes
            lost = True
            for session, home in homes.items():
                assert await asked_for(session) == ((1, 0) if home == (1, 0) else (1, 1))

    asyncio.run(story())


def test_while_an_engine_is_dead_its_sessions_are_guests_of_another() -> None:
    """They wait for nothing, and are at home again when it is back. One that was given up is asked no more."""

    async def story() -> None:
        async with (
            scripted_engine(good) as (first, _),
            scripted_engine(good) as (second, asked_second),
            engine(first, second, supervised=True) as served,
        ):

            async def homes() -> str:
                """By session, which engine was asked."""
                found = ""
                for session in "abcdefgh":
                    before = len(asked_second)
                    await sample(served, session=session)
                    found += "2" if len(asked_second) > before else "1"
                return found

            usual = await homes()
            assert set(usual) == {"1", "2"}
            served.pause(first)
            assert await homes() == "2" * 8
            served.resume(first)
            assert await homes() == usual
            served.pause(second)
            served.give_up(second, "no memory")
            assert await homes() == "1" * 8
            served.give_up(first, "no memory either")
            with pytest.raises(EngineError, match="no memory"):
                await sample(served)

    asyncio.run(story())


def test_who_waits_for_an_engine_that_is_given_up_is_served_by_another() -> None:
    async def story() -> None:
        async with (
            scripted_engine(good) as (first, _),
            scripted_engine(good) as (second, asked),
            engine(first, second, supervised=True) as served,
        ):
            served.pause(first)
            served.pause(second)
            waiting = [asyncio.create_task(sample(served, session=session)) for session in "abcdefgh"]
            await asyncio.sleep(0.01)
            served.give_up(first, "no memory")
            served.resume(second)
            await asyncio.gather(*waiting)
            assert len(asked) == 8

    asyncio.run(story())


def test_who_waits_for_an_engine_that_dies_is_served_by_one_that_lives() -> None:
    """Whether the other lives already or is back first: nobody waits for the restart of his own."""

    async def story() -> None:
        async with (
            scripted_engine(good) as (first, asked_first),
            scripted_engine(good) as (second, asked_second),
            engine(first, second, supervised=True, seats=1) as served,
        ):
            sessions = [one for one in "abcdefghijkl" if served._home_of(one, 0) == second][:3]
            async with served._admissions[second](1, 1, 0):  # its only seat is taken
                waiting = [asyncio.create_task(sample(served, n=1, session=one)) for one in sessions]
                await asyncio.sleep(0.01)
                assert served._admissions[second].waiting
                served.pause(second)
                await asyncio.wait_for(asyncio.gather(*waiting), 5.0)
            assert (len(asked_first), len(asked_second)) == (3, 0)
            served.pause(first)
            waiting = [asyncio.create_task(sample(served, session=one)) for one in "abcdef"]
            await asyncio.sleep(0.01)
            served.resume(first)
            await asyncio.wait_for(asyncio.gather(*waiting), 5.0)
            assert (len(asked_first), len(asked_second)) == (9, 0)

    asyncio.run(story())


def test_a_dead_engines_seats_are_no_room() -> None:
    async def story() -> None:
        async with (
            scripted_engine(good) as (first, _),
            scripted_engine(good) as (second, _),
            engine(first, second, supervised=True, seats=2) as served,
        ):
            async with served._admissions[first](1, 1, 0):
                has_room = [served.has_room]  # 1 of 4
                served.pause(second)
                has_room.append(served.has_room)  # 1 of 2
            has_room.append(served.has_room)
            served.pause(first)
            assert [*has_room, served.has_room] == [True, False, True, False]

    asyncio.run(story())


def test_what_only_one_engine_can_answer_fails_with_it() -> None:
    """Its probe, say: no other is asked, and it is no request that is tried for ever."""

    async def story() -> None:
        async with (
            scripted_engine(good) as (first, _),
            scripted_engine(good) as (second, asked),
            engine(first, second, supervised=True) as served,
        ):
            served.give_up(first, "no memory")
            with pytest.raises(EngineError, match="no memory"):
                await asyncio.wait_for(served.logprobs(first, [4, 5], [2], cache_salt="a"), 5.0)
            assert not asked

    asyncio.run(story())


def test_a_dead_engine_is_waited_for_until_it_is_back_or_given_up() -> None:
    """A refused connection is no attempt, and attempts are counted anew in each life of the engine."""

    async def story() -> None:
        async with AsyncExitStack() as open_to_the_end:
            async with scripted_engine(FAULTS["closed connection"][0]) as (address, _):
                served = await open_to_the_end.enter_async_context(engine(address, attempts=2, supervised=True))
            asked = asyncio.create_task(sample(served))
            async with asyncio.timeout(5.0):
                while served.usage.failed_requests < 10:
                    await asyncio.sleep(0.01)
            served.pause(address)
            await asyncio.sleep(0.05)
            requests = served.usage.requests
            async with scripted_engine(FAULTS["server error"][0], good, port=int(address.rpartition(":")[2])):
                await asyncio.sleep(0.1)
                assert served.usage.requests == requests
                served.resume(address)
                reply = await asked  # one attempt failed in each life; two in one would have been the end
                assert reply.usage.requests == served.usage.requests == requests + 2
            served.pause(address)
            waiting = asyncio.create_task(sample(served))
            await asyncio.sleep(0.01)
            served.give_up(address, "died too often")
            for request in (waiting, sample(served)):
                with pytest.raises(EngineError, match="died too often"):
                    await request

    asyncio.run(story())


def test_values_are_asked_with_one_token() -> None:
    async def story() -> None:
        async with scripted_engine(lambda _: answer(choice([7]))) as (address, asked), engine(address) as served:
            assert await served.values([[4], [4, 5]]) == pytest.approx([math.tanh(0.5)] * 2)
        assert sorted(one["prompt"] for one in asked) == [[4], [4, 5]]
        assert all(one["max_tokens"] == 1 for one in asked)

    asyncio.run(story())


def test_tokens_in_flight_stay_within_the_budget() -> None:
    """Also when replies are shorter than allowed: then more requests fit, and never more than the budget."""

    async def story() -> None:
        async with scripted_engine(good) as (address, _), engine(address, budget=100) as served:
            most, _ = await most_in_flight(served, asyncio.gather(*(sample(served) for _ in range(30))))
            assert 86 <= most <= 100
            assert served._admissions[address].tokens == 0

    asyncio.run(story())


def test_a_shared_prefix_is_charged_once() -> None:
    async def story() -> None:
        async with scripted_engine(good) as (address, asked), engine(address, budget=100) as served:
            few_shot = [9] * 50
            requests = [
                served.complete([*few_shot, i], n=1, temperature=0.7, max_tokens=19, shared=shared)
                for i, shared in enumerate((50, 50, 0))
            ]
            tasks = [asyncio.create_task(request) for request in requests]
            await asyncio.sleep(0)
            assert served._admissions[address].tokens == 50 + 2 * (1 + 19)
            await asyncio.gather(*tasks)
            assert [one["prompt"] for one in asked] == [[*few_shot, 0], [*few_shot, 1], [*few_shot, 2]]

    asyncio.run(story())


def test_a_request_asks_for_no_more_than_the_context_holds() -> None:
    async def story() -> None:
        async with scripted_engine(good) as (address, asked), engine(address) as served:
            for length in (492, 493, 511):
                await served.complete([4] * length, n=2, temperature=0.7, max_tokens=20)
            assert [one["max_tokens"] for one in asked] == [20, 19, 1]
            with pytest.raises(
                EngineError, match="a prompt of 512 tokens leaves no room in the engine's context of 512"
            ):
                await served.complete([4] * 512, n=2, temperature=0.7, max_tokens=20)
            assert len(asked) == served.usage.requests == 3

    asyncio.run(story())


def test_what_waits_is_sent_by_priority() -> None:
    async def story() -> None:
        async with scripted_engine(good) as (address, asked), engine(address, seats=2) as served:
            await asyncio.gather(*(sample(served, max_tokens=20 + i, priority=-i) for i in range(4)))
            assert [one["max_tokens"] for one in asked] == [20, 23, 22, 21]

    asyncio.run(story())


def test_there_is_room_while_nothing_waits_and_half_of_all_seats_are_free() -> None:
    async def story() -> None:
        async with (
            scripted_engine(good) as (first, _),
            scripted_engine(good, engines=2) as (second, _),
            engine(first, second, seats=4) as served,
        ):
            assert served.token_budget == 30_000  # of two data-parallel engines behind the second address
            here, there = served._admissions[first], served._admissions[second]
            has_room = [served.has_room]
            async with here(1, 4, 0):
                has_room.append(served.has_room)  # 4 of 12
                at_first = next(session for session in "abcdefgh" if served._home_of(session, 0) == served.addresses[0])
                waiting = asyncio.create_task(sample(served, session=at_first))
                await asyncio.sleep(0)
                assert here.waiting
                has_room.append(served.has_room)
                waiting.cancel()
                await asyncio.wait([waiting])
                async with there(1, 2, 0):
                    has_room.append(served.has_room)  # 6 of 12
                has_room.append(served.has_room)
            assert has_room == [True, True, False, False, True]

    asyncio.run(story())


def test_waiting_and_service_are_told_apart_and_make_up_the_load() -> None:
    """The clock moves by one second with each response, the failed one included."""

    async def story() -> None:
        now = 0.0

        def takes_a_second(respond: Respond) -> Respond:
            def answered(request: dict[str, Any]) -> bytes | None:
                nonlocal now
                now += 1.0
                return respond(request)

            return answered

        broken, sound = takes_a_second(FAULTS["server error"][0]), takes_a_second(good)
        async with (
            scripted_engine(broken, sound) as (address, _),
            engine(address, seats=2, backoff=0.0, clock=lambda: now) as served,
        ):
            now += 10.0
            replies = await asyncio.gather(*(sample(served) for _ in range(3)))
            now += 3.0
            assert [one.usage.requests for one in replies] == [2, 1, 1]
            assert [one.usage.service_seconds for one in replies] == [2.0, 1.0, 1.0]
            assert [one.usage.queue_seconds for one in replies] == [
                2.0,
                1.0,
                2.0,
            ]  # the first: before its second attempt
            assert (served.usage.queue_seconds, served.usage.service_seconds) == (5.0, 4.0)
            assert served.load == Load(seconds=17.0, busy_seconds=4.0, sequence_seconds=8.0)

    asyncio.run(story())


def test_engines_tell_together_what_they_have_generated() -> None:
    async def story() -> None:
        async with (
            scripted_engine(good, engines=2, generated=[100.0, 2e6]) as (first, _),
            scripted_engine(good, generated=[5.0]) as (second, _),
            engine(first, second) as served,
        ):
            assert await served.generated() == 2_000_105

    asyncio.run(story())


@pytest.mark.parametrize(
    ("versions", "told"), [(("0.32.0", "0.32.0"), "0.32.0"), (("0.32.0", "0.31.1"), "0.31.1, 0.32.0"), (("", ""), None)]
)
def test_engines_tell_their_version(versions: tuple[str, str], told: str | None) -> None:
    async def story() -> None:
        async with (
            scripted_engine(good, version=versions[0]) as (first, _),
            scripted_engine(good, version=versions[1]) as (second, _),
            engine(first, second) as served,
        ):
            assert await served.version() == told

    asyncio.run(story())


def test_an_engine_without_statistics_says_so() -> None:
    async def story() -> None:
        async with scripted_engine(good) as (address, _), engine(address) as served:
            with pytest.raises(EngineError, match="does not tell what it has generated"):
                await served.generated()

    asyncio.run(story())

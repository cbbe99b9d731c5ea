"""Admission against its rules, told as a model: by priority, within both bounds unless alone, and nothing leaks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.engine.admission import Admission, Prefix
from infra.engine.load import Load, Meter
from infra.engine.reply import EngineError

BUDGET, SEATS = 10, 4
Size = tuple[int, int, int, Prefix]
"""Tokens, sequences, priority, prefix."""
SIZES = st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2), st.sampled_from([(), (1, 2), (1, 2, 3)]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), SIZES),
        st.tuples(st.sampled_from(["leave", "cancel"]), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["close", "open"]), st.just(0)),
    ),
    max_size=40,
)


def admission(clock: Callable[[], float] = lambda: 0.0) -> Admission:
    return Admission(BUDGET, SEATS, Meter(clock))


@dataclass(eq=False)
class Guest:
    """A request as the test plays it: holds its place until it is told to leave."""

    size: Size
    goes: asyncio.Event = field(default_factory=asyncio.Event)
    is_in: bool = False

    async def stay(self, house: Admission, check: Callable[[], None]) -> None:
        async with house(*self.size):
            self.is_in = True
            try:
                check()
                await self.goes.wait()
            finally:
                self.is_in = False


def tokens(inside: list[Guest]) -> int:
    """Of all inside, with each prefix once."""
    return sum(guest.size[0] for guest in inside) + sum(map(len, {guest.size[3] for guest in inside}))


def fit(inside: list[Guest]) -> bool:
    sequences = sum(guest.size[1] for guest in inside)
    return len(inside) <= 1 or (tokens(inside) <= BUDGET and sequences <= SEATS)


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def end_of(house: Admission, tasks: list[asyncio.Task[None]]) -> None:
    """Whatever happened before: once all are gone, the house is as new."""
    house.open()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (house.tokens, house.sequences, house.waiting) == (0, 0, 0)
    async with asyncio.timeout(1.0):
        async with house(BUDGET, SEATS, 9):
            assert (house.tokens, house.sequences) == (BUDGET, SEATS)


@settings(max_examples=300)
@given(STEPS)
def test_who_is_in_is_who_the_rules_let_in(steps: list[tuple[str, Any]]) -> None:
    async def story() -> None:
        house = admission()
        guests: dict[Guest, asyncio.Task[None]] = {}
        inside: list[Guest] = []
        waiting: list[Guest] = []
        is_open = True
        for what, which in steps:
            if what in ("close", "open"):
                is_open = what == "open"
                house.open() if is_open else house.close()
            elif what == "come":
                guest = Guest(which)
                guests[guest] = asyncio.create_task(guest.stay(house, lambda: None))
                waiting.append(guest)
                waiting.sort(key=lambda one: one.size[2])  # stable: first come, first served
            elif what != "pass" and (known := inside if what == "leave" else inside + waiting):
                guest = known[which % len(known)]
                guest.goes.set() if what == "leave" else guests[guest].cancel()
                (inside if guest in inside else waiting).remove(guest)
            while is_open and waiting and fit([*inside, waiting[0]]):
                inside.append(waiting.pop(0))
            await settle()
            assert {guest for guest in guests if guest.is_in} == set(inside)
            assert house.tokens == tokens(inside)
            assert house.sequences == sum(guest.size[1] for guest in inside)
            assert house.waiting == len(waiting)
        await end_of(house, list(guests.values()))

    asyncio.run(story())


@settings(max_examples=300)
@given(STEPS)
def test_nothing_leaks_at_whatever_moment_a_request_is_cancelled(steps: list[tuple[str, Any]]) -> None:
    """Many things happen within one turn of the loop here: a request may be let in and cancelled before it knows."""

    async def story() -> None:
        house = admission()
        guests: dict[Guest, asyncio.Task[None]] = {}

        def check() -> None:
            assert fit([guest for guest in guests if guest.is_in])

        for what, which in steps:
            if what == "come":
                guest = Guest(which)
                guests[guest] = asyncio.create_task(guest.stay(house, check))
            elif what in ("close", "open"):
                house.open() if what == "open" else house.close()
            elif what == "pass":
                for _ in range(which):
                    await asyncio.sleep(0)
            elif guests:
                guest = list(guests)[which % len(guests)]
                guest.goes.set() if what == "leave" else guests[guest].cancel()
        house.open()
        await settle()
        check()
        if not any(guest.is_in for guest in guests):
            assert not house.waiting
        assert not any(task.exception() for task in guests.values() if task.done() and not task.cancelled())
        await end_of(house, list(guests.values()))

    asyncio.run(story())


def test_a_giant_enters_alone_and_nobody_overtakes_it_for_being_smaller() -> None:
    async def story() -> None:
        house = admission()
        sizes = {"a": (6, 1, 0), "b": (99, 1, 0), "c": (1, 99, 0), "d": (1, 1, 0), "e": (1, 1, -1)}
        guests = {name: Guest((*size, ())) for name, size in sizes.items()}
        tasks = []
        for guest in guests.values():
            tasks.append(asyncio.create_task(guest.stay(house, lambda: None)))
            await settle()
        for inside in (["a", "e"], ["e"], ["b"], ["c"], ["d"], []):
            assert [name for name, guest in guests.items() if guest.is_in] == inside
            if inside:
                guests[inside[0]].goes.set()
            await settle()
        await end_of(house, tasks)

    asyncio.run(story())


def test_who_waits_for_an_engine_that_is_given_up_is_told_why() -> None:
    async def story() -> None:
        house = admission()
        inside, waiting = Guest((1, 4, 0, ())), Guest((1, 1, 0, ()))
        tasks = []
        for guest in (inside, waiting):
            tasks.append(asyncio.create_task(guest.stay(house, lambda: None)))
            await settle()
        house.give_up("no memory")
        with pytest.raises(EngineError, match="no memory"):
            await tasks[1]
        with pytest.raises(EngineError, match="no memory"):
            await Guest((1, 1, 0, ())).stay(house, lambda: None)
        inside.goes.set()
        await tasks[0]
        assert (house.tokens, house.sequences, house.waiting) == (0, 0, 0)

    asyncio.run(story())


def test_a_shared_prefix_takes_its_place_once_and_leaves_with_the_last_that_has_it() -> None:
    async def story() -> None:
        house = admission()
        shared = (7,) * 6
        guests = [Guest((2, 1, 0, prefix)) for prefix in (shared, shared, shared, (8,))]
        tasks = []
        for guest in guests:
            tasks.append(asyncio.create_task(guest.stay(house, lambda: None)))
            await settle()
        for taken, inside in ((10, [0, 1]), (10, [1, 2]), (8, [2]), (3, [3]), (0, [])):
            assert house.tokens == taken
            assert [i for i, guest in enumerate(guests) if guest.is_in] == inside
            if inside:
                guests[inside[0]].goes.set()
            await settle()
        await end_of(house, tasks)

    asyncio.run(story())


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["enter", "leave", "look"]), st.integers(1, 8))))
def test_load_is_the_integral_of_what_was_in_flight(story: list[tuple[int, str, int]]) -> None:
    """Told second by second, it is a sum."""
    now = 0.0
    meter = Meter(lambda: now)
    inside: list[int] = []
    busy = sequences = 0
    for seconds, what, size in story:
        now += seconds
        busy += seconds * bool(inside)
        sequences += seconds * sum(inside)
        if what == "enter":
            meter.enter(size)
            inside.append(size)
        elif what == "leave" and inside:
            meter.leave(inside.pop(0))
        elif what == "look":
            assert meter.load == Load(now, busy, sequences)
    assert meter.load == Load(now, busy, sequences)

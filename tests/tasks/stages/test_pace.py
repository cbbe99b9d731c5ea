"""The pace of a full engine: after it has filled up, with all questions at once, and without a trace of them."""

import asyncio
from typing import Any

import pytest

from tasks.stages.pace import NothingGenerated, Pace, pace


class Generating:
    """An engine that generates by the clock: so many tokens a second at first, and other ones later."""

    def __init__(self, at_first: float, later: float, until: float) -> None:
        self.at_first, self.later, self.until = at_first, later, until
        self.begun = asyncio.get_running_loop().time()

    async def generated(self) -> float:
        passed = asyncio.get_running_loop().time() - self.begun
        return self.at_first * min(passed, self.until) + self.later * max(passed - self.until, 0.0)


async def measured(
    at_first: float, later: float, seconds: float, lasts: float, questions: int = 3, ramp: float = 0.25
) -> tuple[Pace, int]:
    """The pace, and how many questions were begun and given up."""
    given_up = 0

    async def work(question: dict[str, Any], place: int) -> None:
        nonlocal given_up
        try:
            await asyncio.sleep(lasts)
        except asyncio.CancelledError:
            given_up += 1
            raise

    engine: Any = Generating(at_first, later, until=ramp * seconds)
    return await pace(engine, work, [{}] * questions, seconds), given_up


def test_the_time_in_which_the_engine_fills_up_does_not_count() -> None:
    found, given_up = asyncio.run(measured(at_first=10.0, later=1000.0, seconds=0.4, lasts=60.0))
    assert found.tokens_per_second == pytest.approx(1000.0, rel=0.1)
    assert given_up == 3


def test_questions_that_are_all_answered_end_it() -> None:
    """Before the ramp is over: then all of the time counts."""
    found, given_up = asyncio.run(measured(at_first=1000.0, later=0.0, seconds=40.0, lasts=0.05))
    assert found.tokens_per_second == pytest.approx(1000.0, rel=0.1)
    assert found.filling_seconds == 0.0
    assert given_up == 0


def test_an_engine_that_reads_prompts_first_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than it was to be timed: its pace is that after the first tokens, and the round waits as long."""
    monkeypatch.setattr("tasks.stages.pace.LOOK_SECONDS", 0.02)
    found, given_up = asyncio.run(measured(at_first=0.0, later=1000.0, seconds=0.2, lasts=60.0, ramp=2.0))
    assert found.tokens_per_second == pytest.approx(1000.0, rel=0.1)
    assert found.filling_seconds == pytest.approx(0.4, rel=0.2)
    assert given_up == 3


def test_an_engine_that_generates_nothing_has_no_pace() -> None:
    with pytest.raises(NothingGenerated, match="needs more time"):
        asyncio.run(measured(at_first=0.0, later=0.0, seconds=0.1, lasts=60.0))

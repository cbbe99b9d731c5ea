"""The stages *pace_of_search* and *pace_of_evaluation*: how fast an engine works for a whole round's questions.

A handful of questions leaves an engine half empty, so that their seconds say little of a round's. Here all questions
are begun, each with the plain budget, and given up after some seconds. Kept are `tokens_per_second`, and the
`filling_seconds` that pass before it goes at that pace. The engine counts all that it generates: who measures must have
it alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from infra.engine import Engine
from infra.store import Ref
from tasks.check import Checker
from tasks.language.format import FORMATS
from tasks.running.served import sandbox_for, serve_both
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.settings import Evaluation, Search
from tasks.stages.evaluate import allowance_for, sample
from tasks.stages.search import searching, to_search

RAMP = 0.25
"""The share of the time in which the engine fills up, at least: the pace is not measured there."""
LOOK_SECONDS = 0.5
PATIENCE = 10.0
"""Times the seconds that were given: for so long an engine may read prompts before it writes."""


class NothingGenerated(RuntimeError):
    """No token came in the time that was given; the message says why, if a question failed."""


@stage("pace_of_search", version=2, task_run_name="pace-{name}")
def pace_of_search(
    workplace: Workplace,
    questions: Ref,
    policy: Ref,
    name: str,
    settings: Search,
    value: Ref | None,
    seconds: float,
    when: str,
) -> int:
    """Of an evidence over all of its questions, in tokens a second. `when`: it is measured anew for another word."""
    asked = to_search(workplace.read(questions, "questions"), settings)
    sandbox = sandbox_for(question.get("test") for question in asked.values())

    async def run() -> Pace:
        async with searching(workplace, policy, name, settings, value=value, sandbox=sandbox) as (work, served, _):
            return await pace(served.engine, work, asked.values(), seconds)

    workplace.facts |= asyncio.run(run())._asdict()
    return 0


@stage("pace_of_evaluation", version=2)
def pace_of_evaluation(
    workplace: Workplace,
    model: Ref,
    benchmarks: Ref,
    settings: Evaluation,
    value: Ref | None,
    seconds: float,
    when: str,
) -> int:
    """Of the round's decoding over all benchmark questions, in tokens a second."""
    asked = workplace.read(benchmarks, "benchmarks").to_dicts()
    sandbox = sandbox_for(question["specification"] for question in asked)

    async def run() -> Pace:
        format, allowance = FORMATS[settings.steps], allowance_for(settings, len(asked))
        async with serve_both(workplace, model, value, format) as (served, judging), Checker() as checker:

            async def work(question: dict[str, Any], place: int) -> Any:
                return await sample(question, place, "", served, checker, settings, judging, sandbox, allowance)

            return await pace(served.engine, work, asked, seconds)

    workplace.facts |= asyncio.run(run())._asdict()
    return 0


class Pace(NamedTuple):
    """`filling_seconds`: that the ramp took beyond what its tokens take at the pace."""

    tokens_per_second: float
    filling_seconds: float


async def pace(
    engine: Engine,
    work: Callable[[dict[str, Any], int], Awaitable[Any]],
    questions: Iterable[dict[str, Any]],
    seconds: float,
) -> Pace:
    """Of an engine while all questions are worked on, after a ramp, or until all are done.

    The ramp ends when there are as many tokens as questions: before, an engine that is slow reads their prompts.

    Raises:
        NothingGenerated: within the seconds.
    """

    async def seen() -> tuple[float, float]:
        return await engine.generated(), time.monotonic()

    start = at_first = await seen()
    begun = [asyncio.ensure_future(work(question, place)) for place, question in enumerate(questions)]
    try:
        _, under_way = await asyncio.wait(begun, timeout=RAMP * seconds)
        while under_way:
            at_first = await seen()
            tokens, took = (now - then for now, then in zip(at_first, start, strict=True))
            if tokens >= len(begun) or took >= PATIENCE * seconds:
                await asyncio.wait(under_way, timeout=(1 - RAMP) * seconds)
                break
            _, under_way = await asyncio.wait(under_way, timeout=LOOK_SECONDS)
        else:
            at_first = start
        at_last = await seen()
    finally:
        for one in begun:
            one.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
    tokens, took = (last - first for last, first in zip(at_last, at_first, strict=True))
    if tokens <= 0:
        failed = (one.exception() for one in begun if not one.cancelled())
        why = next(filter(None, failed), None) or "the pace needs more time (seconds)"
        raise NothingGenerated(f"no token was generated in {took:.0f} s: {why}")
    ramp_tokens, ramp_seconds = (first - then for first, then in zip(at_first, start, strict=True))
    return Pace(tokens / took, max(ramp_seconds - ramp_tokens * took / tokens, 0.0))

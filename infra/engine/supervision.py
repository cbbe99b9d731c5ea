"""Starts a local engine again that died in the middle of its work, on the same port and with the same model.

Requests go to others meanwhile, or wait, and unanswered ones are sent again: no tree fails for it (design D4).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from infra.engine.client import Engine
from infra.engine.reply import EngineError
from infra.engine.server import LocalEngine, Progress, end_of, name_of
from infra.environment import Environment

RESTARTS = 3
"""Within one `serving`. What kills an engine more often than that is no accident."""


@asynccontextmanager
async def supervised(
    engine: Engine,
    running: LocalEngine,
    restart: Callable[[], Awaitable[LocalEngine]],
    here: Environment,
    berth: int,
    progress: Progress,
) -> AsyncIterator[None]:
    """Watches over one local engine as long as the context lasts. `engine`: the client of all of them. `restart`
    returns one that is proven, at the same address, or raises."""
    name = name_of(here, berth)
    watching = asyncio.create_task(_watch(engine, running, restart, here, berth, progress))

    def ended(watch: asyncio.Task[str]) -> None:
        # Requests wait for what the watch does next: they must not outlive it.
        if not watch.cancelled():
            problem = watch.exception()
            reason = f"and its restart failed: {problem!r}" if problem else watch.result()
            engine.give_up(running.url, f"{name} died, {reason}")
            progress(f"{name} is given up, {reason}")  # where others go on, nothing fails that would say so

    watching.add_done_callback(ended)
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(
    engine: Engine,
    running: LocalEngine,
    restart: Callable[[], Awaitable[LocalEngine]],
    here: Environment,
    berth: int,
    progress: Progress,
) -> str:
    """Why it is started no more."""
    name = name_of(here, berth)
    reason = await end_of(running, here, berth)
    for attempt in range(1, RESTARTS + 1):
        engine.pause(running.url)
        progress(f"{name} died ({reason}); starting it again, {attempt} of {RESTARTS}")
        try:
            running = await restart()
        except EngineError as problem:
            reason = str(problem)
        else:
            engine.resume(running.url)
            reason = await end_of(running, here, berth)
    return f"also after {RESTARTS} restarts: {reason}"

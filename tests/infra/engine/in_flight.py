"""What an engine's client has in flight while it works."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from infra.engine import Engine

T = TypeVar("T")


async def most_in_flight(engine: Engine, work: Awaitable[T]) -> tuple[int, T]:
    """The most tokens in flight at any address while the work is done, and the work."""
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, *(admission.tokens for admission in engine._admissions.values()), 0)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    try:
        done = await work
    finally:
        watching.cancel()
    return most, done

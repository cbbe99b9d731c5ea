"""Requests that are made at once, of which the first that fails calls the others back."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(requests: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results, in order. Raises what failed first, once nothing is under way any more: `asyncio.gather` would
    leave the others to go on for nobody, and to fail when the engine's client is closed."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(request) for request in requests]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]

"""Requests that are made at once, of which the first that fails calls the others back."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(requests: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results, in order. Raises what failed first, once nothing is under way any more: `asyncio.gather` would
    leave the others to go on for nobody, and to fail when the engine's client is closed."""
    all_of_them = list(requests)
    if len(all_of_them) == 1:  # as most expansions are: a task more for each would cost the search a thirtieth
        return [await all_of_them[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(request) for request in all_of_them]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]

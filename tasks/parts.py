"""Much work of many small parts: bounded in flight, each finished part kept, so that a retry does only the rest."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from tasks.step import Progress, Stage

Item = TypeVar("Item")
Part = dict[str, Any]

MAX_FAILED_SHARE = 0.1
"""A stage with more failed parts than this is not committed: its failures are no longer a few lost questions."""


class TooManyFailures(RuntimeError):
    """So many parts failed that the stage is not worth keeping; finished parts stay for the retry."""


async def each_part(
    stage: Stage,
    items: Mapping[str, Item],
    work: Callable[[Item], Awaitable[Part]],
    *,
    what: str,
    in_flight: int,
) -> dict[str, Part]:
    """`work(item)` for every item, by name, in the order of `items`.

    A part is a JSON document; one with a non-null "error" failed. It is returned like the others but not kept, so a
    retry of the step tries it again.

    Raises:
        TooManyFailures: when more than a tenth of the parts failed.
        Exception: what `work`, the store or Prefect's server failed with first; the parts under way are given up.
    """
    parts = {name: json.loads(data) for name, data in (await asyncio.to_thread(stage.parts)).items() if name in items}
    if parts:
        stage.log.info("%s: %d of %d were finished before and are kept", what, len(parts), len(items))
    progress = Progress(stage, what, total=len(items))
    gate = asyncio.Semaphore(in_flight)

    async def one(name: str, item: Item) -> None:
        async with gate:
            part = await work(item)
        if part["error"] is None:
            await asyncio.to_thread(stage.keep_part, name, json.dumps(part).encode())
        parts[name] = part
        await asyncio.to_thread(progress.show, len(parts))

    try:
        async with asyncio.TaskGroup() as group:
            for name, item in items.items():
                if name not in parts:
                    group.create_task(one(name, item))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # a user reads why, not "unhandled errors in a TaskGroup"

    failures = [part["error"] for part in parts.values() if part["error"] is not None]
    stage.facts["failed_parts"] = len(failures)
    if len(failures) > MAX_FAILED_SHARE * len(items):
        raise TooManyFailures(
            f"{what}: {len(failures)} of {len(items)} failed, the last with: {failures[-1]}. "
            "What finished is kept; retry the flow run when the cause is gone."
        )
    return {name: parts[name] for name in items}

"""The same search as public CPL code runs it: in lockstep, the value asked apart (methods.md 1.3).

All trees select one leaf each; one batch asks V of every leaf (n = 1, one token), one batch samples the
continuations of every leaf; each batch is waited for to its slowest reply. Selection and backup are ours, so that
only the scheduling differs. The released code also had no prefix cache, and its value model shared none with the
policy: with `ForgetfulEngine` every request computes its whole prompt.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from infra.engine import Engine
from tasks.running.served import SearchPolicy, ServedPolicy
from tasks.search.grow import Task, judged, method, too_deep
from tasks.settings import Search


async def search_in_lockstep(served: ServedPolicy, tasks: Sequence[Task], settings: Search) -> int:
    """One tree a task, grown to its budget or until it is exhausted; the expansions of all together."""
    policy = SearchPolicy(served, settings)
    searches = [(task, method(task, settings)) for task in tasks]
    expansions = 0
    while asks := [(task, search, ask) for task, search in searches if (ask := search.ask())]:
        states = [ask.tree.state_ids(ask.node) for _, _, ask in asks]
        values = await asyncio.gather(
            *(
                served.values([state], session=task.question_id)
                for (task, _, _), state in zip(asks, states, strict=True)
            )
        )
        for (_, _, ask), (value,) in zip(asks, values, strict=True):
            if ask.node.parent is not None:
                ask.node.action = replace(ask.node.action, value=value)
        replies = await asyncio.gather(
            *(
                policy.sample(state, ask.draws[0], session=task.question_id, priority=0)
                for (task, _, ask), state in zip(asks, states, strict=True)
            )
        )
        for (task, search, ask), reply in zip(asks, replies, strict=True):
            position = ask.tree.position(ask.node)
            if position >= settings.max_depth:
                search.take(ask, [too_deep(ask.draws[0].n)])
                continue
            search.take(
                ask,
                [await judged(sample, ask.draws[0], position, task.judge, settings) for sample in reply.samples],
            )
        expansions += len(asks)
    return expansions


class ForgetfulEngine(Engine):
    """The same client under a second name, whose requests find nothing in the engine's prefix cache."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__ = engine.__dict__

    async def _post(self, address: str, request: dict[str, Any]) -> bytes:
        return await super()._post(address, request | {"cache_salt": uuid4().hex})

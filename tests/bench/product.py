"""What the benchmarks take from the product, in one place: its own search, as the stage `search` runs it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tasks.check import Checker
from tasks.format import question_prompt
from tasks.policy import SearchPolicy, ServedPolicy, judge
from tasks.questions import load_questions
from tasks.search.grow import GrownTree, Task, grow
from tasks.settings import Search


def make_tasks(served: ServedPolicy, checker: Checker, settings: Search, *, count: int, seed: int) -> list[Task]:
    """`count` embedded word problems, each with the full budget of the settings."""
    return [_task(served, checker, question, settings) for question in _questions(count, seed)]


async def search(served: ServedPolicy, tasks: Sequence[Task], settings: Search) -> list[GrownTree]:
    """All trees by the product's driver, as many at once as the stage `search` has in flight."""
    policy = SearchPolicy(served, settings)
    gate = asyncio.Semaphore(served.in_flight(settings.root_children * settings.max_step_tokens))

    async def one(task: Task) -> GrownTree:
        async with gate:
            return await grow(task, policy, settings)

    return await asyncio.gather(*map(one, tasks))


def _questions(count: int, seed: int) -> list[dict[str, Any]]:
    return load_questions("micro", count=count, seed=seed).frame.head(count).to_dicts()


def _task(served: ServedPolicy, checker: Checker, question: dict[str, Any], settings: Search) -> Task:
    return Task(
        tree_id=question["question_id"],
        question_id=question["question_id"],
        question=question["question"],
        prompt_ids=tuple(served.encode(question_prompt(question["question"]))),
        judge=judge(checker, question),
        simulations=settings.simulations,
        is_held_out=False,
        pass_rate=None,
    )

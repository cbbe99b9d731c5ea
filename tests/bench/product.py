"""What the benchmarks with an engine take from the product, in one place: its search, as the stage `search` runs it."""

import asyncio
from collections.abc import Sequence

from tasks.check import Checker
from tasks.questions import load_questions
from tasks.running.served import SearchPolicy, ServedPolicy, judge
from tasks.search.grow import Grown, Task, grow
from tasks.settings import Search


def make_tasks(served: ServedPolicy, checker: Checker, settings: Search, *, count: int, seed: int) -> list[Task]:
    """`count` embedded word problems, each with the full budget of the settings."""
    questions = load_questions("micro", count=count, seed=seed).frame.head(count).to_dicts()
    return [
        Task(
            question_id=question["question_id"],
            question=question["question"],
            prompt_ids=tuple(served.prompts.question(question["question"])),
            judge=judge(checker, question),
            simulations=settings.simulations,
            priority=place,
        )
        for place, question in enumerate(questions)
    ]


async def search(served: ServedPolicy, tasks: Sequence[Task], settings: Search) -> list[Grown]:
    """All trees by the product's driver, all begun at once: the engine's admission bounds the work."""
    policy = SearchPolicy(served, settings)
    return await asyncio.gather(*(grow(task, policy, settings) for task in tasks))


def expansions(grown: Sequence[Grown]) -> int:
    """Of all trees together. A failed tree spoils a benchmark: RuntimeError."""
    if failed := [one.error for one in grown if one.error]:
        raise RuntimeError(f"{len(failed)} of {len(grown)} trees failed, the first with: {failed[0]}")
    return sum(row["expansions"] for one in grown for row in one.tree_rows)

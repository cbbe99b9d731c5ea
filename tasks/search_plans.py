"""The step *search*: plan MCTS (or another method of the papers) over every question, budgets set by the rollouts."""

import asyncio
from typing import Any

import polars as pl

from infra.store import Ref
from tasks.check import Checker
from tasks.parts import Part, each_part
from tasks.policy import SearchPolicy, judge, serve_both
from tasks.search.actions import no_offers
from tasks.search.grow import Task, grow
from tasks.search.library import Library
from tasks.settings import Search
from tasks.step import Stage, step

VERSION = 9
"""Of the step *search*, in one run or in shards (tasks.shards)."""

Row = dict[str, Any]


@step("search", version=VERSION)
def search_plans(
    stage: Stage,
    questions: Ref,
    rollouts: Ref,
    policy: Ref,
    settings: Search,
    library: dict[str, Ref] | None = None,
    value: Ref | None = None,
) -> int:
    """One search a question: tables `trees` and `nodes`. Held-out trees get the plain budget: V is ranked on them.

    `value`: a separate value model, whose V counts in the place of the policy's.
    `library`: the stages `questions` and `search` of an earlier round, whose steps are offered (settings.library).
    """
    asked = stage.read(questions, "questions").to_dicts()
    rates = pass_rates(stage.read(rollouts, "rollouts"))
    worked = _library(stage, library) if library and settings.library else None

    async def run() -> None:
        async with serve_both(stage, policy, value) as (served, judging), Checker() as checker:
            searcher = SearchPolicy(served, settings, judging)

            async def search(question: Row, place: int) -> Part:
                pass_rate = rates.get(question["question_id"])
                task = Task(
                    question_id=question["question_id"],
                    question=question["question"],
                    prompt_ids=tuple(served.question(question["question"])),
                    judge=judge(checker, question),
                    simulations=budget(question, pass_rate, settings),
                    is_held_out=question["is_held_out"],
                    pass_rate=pass_rate,
                    priority=place,
                    offers=worked.offers(question["question"], settings.library) if worked else no_offers,
                )
                grown = await grow(task, searcher, settings)
                return Part({"trees": grown.tree_rows, "nodes": grown.node_rows}, grown.error)

            by_id = {question["question_id"]: question for question in asked}
            await each_part(stage, by_id, search, what="Search", note=served.account)
            used = {"search": served} | ({"search_value": judging} if judging else {})
            stage.write("engine_use", pl.concat([one.use(name, len(asked)) for name, one in used.items()]))

    asyncio.run(run())
    trees = stage.written("trees")
    stage.facts |= counted(trees)
    return trees.height


def pass_rates(rollouts: pl.DataFrame) -> dict[str, float | None]:
    """Share of right ones among a question's first attempts, those before any reflection; of none, None.

    What could not be decided is no attempt.
    """
    first = rollouts.filter(pl.col("error").is_null(), pl.col("trial") == 0)
    return dict(first.group_by("question_id").agg(pl.col("is_correct").mean()).iter_rows())


def budget(question: Row, pass_rate: float | None, settings: Search) -> int:
    """Simulations for a question. A held-out one gets the plain number, so that V is ranked on easy and hard alike."""
    return settings.simulations if question["is_held_out"] else settings.budget(pass_rate)


def counted(trees: pl.DataFrame) -> dict[str, int]:
    """What a search did, by its table `trees`: questions solved and skipped, trees failed, answers undecided, the cost.

    A stepwise search has several trees a question.
    """
    return {
        "expansions": int(trees["expansions"].sum()),
        "generated_tokens": int(trees["generated_tokens"].sum()),
        "undecided": int(trees["undecided"].sum()),
        "solved": trees.filter("is_solved")["question_id"].n_unique(),
        "failed": trees.filter(state="failed").height,
        "skipped": trees.filter(state="skipped")["question_id"].n_unique(),
    }


def _library(stage: Stage, source: dict[str, Ref]) -> Library:
    searched = source["search"]
    return Library(
        stage.read(source["questions"], "questions"), stage.read(searched, "trees"), stage.read(searched, "nodes")
    )

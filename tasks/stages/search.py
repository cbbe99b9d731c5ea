"""The stage *search*: one evidence of a round, plan MCTS or another method of the papers over every question."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from infra.sandbox import Sandbox
from infra.store import Ref
from infra.together import together
from tasks.check import Checker
from tasks.language.format import FORMATS, PLAN_OPEN, Kind, Origin, in_block, verdict
from tasks.language.leak import leaks_answer, leaks_program
from tasks.records import frame
from tasks.running.parts import Part, each_part
from tasks.running.served import SearchPolicy, ServedPolicy, judge, sandbox_for, serve_both
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.search.actions import no_offers
from tasks.search.grow import Task, grow
from tasks.search.library import Library
from tasks.search.policy import Policy
from tasks.settings import Search

VERSION = 23
"""Of the stage *search*, in one run or in shards (tasks.stages.search_in_shards)."""

ENDS = ["tree_id", "kind", "origin", "visits", "reward"]
"""The columns of `nodes` that tell how trajectories ended; the others are most of the table."""

Row = dict[str, Any]


@stage("search", version=VERSION, task_run_name="search-{name}")
def search(
    workplace: Workplace,
    questions: Ref,
    policy: Ref,
    name: str,
    settings: Search,
    rates: Ref | None = None,
    library: dict[str, Ref] | None = None,
    value: Ref | None = None,
) -> int:
    """One search a question, or several (settings.trees): tables `trees` and `nodes` of the evidence `name`.

    `rates`: the stage of the evidence whose pass rates set the budgets (settings.budget_by).
    `library`: the stages `questions` and `search` of an earlier round, whose steps are offered (settings.library).
    `value`: a separate value model, whose V counts in the place of the policy's.
    """
    asked = to_search(workplace.read(questions, "questions"), settings)
    sandbox = sandbox_for(question.get("test") for question in asked.values())

    async def run() -> None:
        given = (workplace, policy, name, settings, rates, library, value, sandbox)
        async with searching(*given) as (work, served, judging):
            await each_part(workplace, asked, work, what=f"Search of {name}", note=served.account)
            used = {name: served} | ({f"{name}_value": judging} if judging else {})
            workplace.write("engine_use", pl.concat([one.use(asking, len(asked)) for asking, one in used.items()]))
            workplace.facts["engine"] = await served.engine.version()

    if asked:
        asyncio.run(run())
    else:
        for table in ("trees", "nodes", "engine_use"):
            workplace.write(table, frame(table, []))
    trees = workplace.written("trees")
    workplace.facts |= counted(trees, _ends(workplace.folder / "nodes.parquet"))
    return trees.height


class Searching(NamedTuple):
    """`work`: searches a question, at its place in the queue. `policy`, `value`: the models that it asks."""

    work: Callable[[Row, int], Awaitable[Part]]
    policy: ServedPolicy
    value: ServedPolicy | None


@asynccontextmanager
async def searching(
    workplace: Workplace,
    policy: Ref,
    name: str,
    settings: Search,
    rates: Ref | None = None,
    library: dict[str, Ref] | None = None,
    value: Ref | None = None,
    sandbox: Sandbox | None = None,
) -> AsyncIterator[Searching]:
    """An evidence that can be asked for its questions' trees, one by one (the arguments are those of the stage).
    `sandbox`: where a question asks for a program."""
    known: dict[str, float] = {}
    if rates is not None:
        known = pass_rates(workplace.read(rates, "trees"), _ends(workplace.store.fetch(rates, "nodes.parquet")))
    worked = library_of(workplace, library) if library and settings.library else None
    format = FORMATS[settings.steps]
    async with serve_both(workplace, policy, value, format) as (served, judging), Checker() as checker:
        searcher = SearchPolicy(served, settings, judging)

        async def work(question: Row, place: int) -> Part:
            text, gold, test = question["question"], question["answer"], question.get("test")
            pass_rate = known.get(question["question_id"])
            shown = in_block(gold) if test else gold
            task = Task(
                question_id=question["question_id"],
                question=text,
                prompt_ids=tuple(served.prompts.question(text)),
                judge=judge(checker, question, sandbox),
                simulations=budget(question, pass_rate, settings),
                evidence=name,
                is_held_out=question["is_held_out"],
                pass_rate=pass_rate,
                priority=place,
                offers=worked.offers(text, settings.library) if worked else no_offers,
                gold=shown,
                told_ids=tuple(served.prompts.encode(verdict(shown, then=PLAN_OPEN))),
                leaks=partial(leaks_program, question=text, program=gold)
                if test
                else partial(leaks_answer, question=text, gold=gold, checker=checker),
                entry_point=question["entry_point"] if test else "",
            )
            return await trees_of(task, searcher, settings)

        yield Searching(work, served, judging)


async def trees_of(task: Task, policy: Policy, settings: Search) -> Part:
    """All trees of a question, searched at once; it fails where one of them does."""
    tasks = (replace(task, copy=copy) for copy in range(settings.trees))
    grown = await together(grow(one, policy, settings) for one in tasks)
    trees = [row for one in grown for row in one.tree_rows]
    nodes = [row for one in grown for row in one.node_rows]
    return Part({"trees": trees, "nodes": nodes}, next((str(one.error) for one in grown if one.error), None))


def to_search(questions: pl.DataFrame, settings: Search) -> dict[str, Row]:
    """By id, the questions that are searched: all of them, or those to learn from."""
    rows = questions.filter(~pl.col("is_held_out") | settings.held_out).to_dicts()
    return {question["question_id"]: question for question in rows}


def pass_rates(trees: pl.DataFrame, nodes: pl.DataFrame) -> dict[str, float]:
    """By question, the share of right ones among the decided trajectories that the policy began itself.

    One under a hint was told the answer: that it is right says nothing of the policy. A failed tree tells nothing.
    """
    ended = nodes.filter(pl.col("reward").is_not_null(), origin=Origin.POLICY)
    known = trees.filter(pl.col("state") != "failed").select("question_id", "tree_id").join(ended, on="tree_id")
    right = (pl.col("visits") * (pl.col("reward") == 1.0)).sum() / pl.col("visits").sum()
    return dict(known.group_by("question_id").agg(right).iter_rows())


def budget(question: Row, pass_rate: float | None, settings: Search) -> int:
    """Simulations for a question. A held-out one gets the plain number, so that V is ranked on easy and hard alike."""
    return settings.simulations if question["is_held_out"] else settings.budget(pass_rate)


def counted(trees: pl.DataFrame, nodes: pl.DataFrame) -> dict[str, int]:
    """What a search did: questions solved, those of them by a hinted trajectory alone, and skipped; trees failed;
    answers undecided, plans that leaked; the cost.

    A question may have several trees.
    """
    right = trees.select("tree_id", "question_id").join(nodes.filter(reward=1.0), on="tree_id")
    is_hinted = right.group_by("question_id").agg((pl.col("origin") == Origin.HINT).all())
    return {
        "expansions": int(trees["expansions"].sum()),
        "generated_tokens": int(trees["generated_tokens"].sum()),
        "undecided": int(trees["undecided"].sum()),
        "leaked": nodes.filter(kind=Kind.LEAKED).height,
        "solved": trees.filter("is_solved")["question_id"].n_unique(),
        "hinted": int(is_hinted["origin"].sum()),
        "failed": trees.filter(state="failed").height,
        "skipped": trees.filter(state="skipped")["question_id"].n_unique(),
    }


def _ends(nodes: Path) -> pl.DataFrame:
    return pl.read_parquet(nodes, columns=ENDS)


def library_of(workplace: Workplace, source: dict[str, Ref]) -> Library:
    """Of the stages `questions` and `search` of an earlier round."""
    searched = source["search"]
    return Library(
        workplace.read(source["questions"], "questions"),
        workplace.read(searched, "trees"),
        workplace.read(searched, "nodes"),
    )

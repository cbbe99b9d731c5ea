"""The step *search*: plan MCTS over every question, budgets set by the rollouts' pass rate."""

import asyncio

import polars as pl

from infra.store import Ref
from tasks.check import Checker
from tasks.format import question_prompt
from tasks.parts import Part, each_part
from tasks.policy import SearchPolicy, judge, serve
from tasks.records import frame
from tasks.search.grow import Task, grow
from tasks.settings import Search
from tasks.step import Stage, step


@step("search", version=1)
def search_plans(stage: Stage, questions: Ref, rollouts: Ref, policy: Ref, settings: Search) -> int:
    """One tree a question: tables `trees` and `nodes`. Held-out trees get the plain budget: V is ranked on them."""
    asked = stage.read(questions, "questions").to_dicts()
    first_trials = stage.read(rollouts, "rollouts").filter(pl.col("error").is_null(), pl.col("trial") == 0)
    pass_rates = dict(first_trials.group_by("question_id").agg(pl.col("is_correct").mean()).iter_rows())

    async def run() -> list[Part]:
        async with serve(stage, policy) as served, Checker() as checker:
            tasks = {}
            for question in asked:
                pass_rate = pass_rates.get(question["question_id"])
                tasks[question["question_id"]] = Task(
                    tree_id=question["question_id"],
                    question_id=question["question_id"],
                    question=question["question"],
                    prompt_ids=tuple(served.encode(question_prompt(question["question"]))),
                    judge=judge(checker, question),
                    simulations=settings.simulations if question["is_held_out"] else settings.budget(pass_rate),
                    is_held_out=question["is_held_out"],
                    pass_rate=pass_rate,
                )
            search_policy = SearchPolicy(served, settings)
            in_flight = served.in_flight(settings.root_children * settings.max_step_tokens)

            async def search(task: Task) -> Part:
                grown = await grow(task, search_policy, settings)
                return {"tree": grown.tree, "nodes": grown.nodes, "error": grown.tree["error"]}

            parts = await each_part(stage, tasks, search, what="Search", in_flight=in_flight)
            return list(parts.values())

    grown = asyncio.run(run())
    trees = frame("trees", (part["tree"] for part in grown))
    stage.write("trees", trees)
    stage.write("nodes", frame("nodes", (node for part in grown for node in part["nodes"])))
    stage.facts |= {
        "expansions": int(trees["expansions"].sum()),
        "generated_tokens": int(trees["generated_tokens"].sum()),
        "solved": int(trees["is_solved"].sum()),
        "failed": int((trees["state"] == "failed").sum()),
        "skipped": int((trees["state"] == "skipped").sum()),
    }
    return trees.height

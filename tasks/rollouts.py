"""Rollouts with self-reflection: plan, solve, check; while nothing is right, reflect and plan again.

LEPA's Algorithm 1 (methods.md 4.1): the solution sees the plan only, never the answer or the reflection; the
reflection sees the failed attempt and the right answer; the new plan may not contain it. We draw `samples` first
attempts instead of one: the share of right ones is the pass rate that sets the question's search budget.

A plan and a solution are held to the format of the search. An attempt whose answer can not be decided is neither right
nor wrong: it counts in no pass rate, and nobody reflects on it.
"""

import asyncio
import time
from typing import Any

import polars as pl

from infra.store import Ref
from tasks.check import Checker, Verdict
from tasks.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    REFLECTION_CLOSE,
    SOLUTION_CLOSE,
    STEP_CLOSE,
    is_plan,
    parse_ending,
    plan_steps,
    verdict,
)
from tasks.leak import leaks_answer
from tasks.parts import Part, each_part
from tasks.policy import ServedPolicy, Written, serve, verdict_on
from tasks.records import ROLLOUTS, frame
from tasks.search.grow import ContextFull, PolicyError
from tasks.settings import Rollouts
from tasks.step import Stage, step

Question = dict[str, Any]
Attempt = dict[str, Any]


@step("rollouts", version=8)
def roll_out(stage: Stage, questions: Ref, policy: Ref, settings: Rollouts) -> int:
    """Attempts of every question that is learnt from, with their reflections: table `rollouts`."""
    asked = rolled_out(stage.read(questions, "questions"))

    async def run() -> None:
        async with serve(stage, policy) as served, Checker() as checker:

            async def work(question: Question, place: int) -> Part:
                return await attempts(question, place, served, checker, settings)

            await each_part(stage, asked, work, what="Rollouts", note=served.account)
            stage.write("engine_use", served.use("rollouts", len(asked)))

    if asked:
        asyncio.run(run())
    else:
        stage.write("rollouts", frame("rollouts", []))
    rollouts = stage.written("rollouts")
    right = rollouts.filter(pl.col("is_correct"))
    stage.facts |= {
        "solved": right["question_id"].n_unique(),
        "reflected": right.filter(pl.col("reflection").is_not_null())["question_id"].n_unique(),
        "undecided": rollouts.filter(pl.col("error").is_null(), pl.col("is_correct").is_null()).height,
        "leaked": int(rollouts["is_leaked"].sum()),
    }
    return rollouts.height


def rolled_out(questions: pl.DataFrame) -> dict[str, Question]:
    """By id, the questions that are learnt from. Others need no rollouts: their trees get the plain budget."""
    return {question["question_id"]: question for question in questions.filter(~pl.col("is_held_out")).to_dicts()}


async def attempts(question: Question, place: int, policy: ServedPolicy, checker: Checker, settings: Rollouts) -> Part:
    """All attempts of one question: `samples` first ones, then reflections on the first while none is right."""
    try:
        made = await asyncio.gather(
            *(attempt(question, place, policy, checker, settings, sample=sample) for sample in range(settings.samples))
        )
        trials = [made[0]]
        while len(trials) < settings.trials and not any(one["is_correct"] for one in (*made, *trials)):
            try:
                trials.append(await attempt(question, place, policy, checker, settings, sample=0, failed=trials[-1]))
            except ContextFull:
                break  # there is no room to reflect on so long an attempt
        return Part({"rollouts": [*made, *trials[1:]]})
    except PolicyError as problem:
        lost = dict.fromkeys(ROLLOUTS.keys()) | {
            "rollout_id": f"{question['question_id']}/failed",
            "question_id": question["question_id"],
            "error": str(problem),
        }
        return Part({"rollouts": [lost]}, str(problem))


async def attempt(
    question: Question,
    place: int,
    policy: ServedPolicy,
    checker: Checker,
    settings: Rollouts,
    *,
    sample: int,
    failed: Attempt | None = None,
) -> Attempt:
    """One trial: a plan (after a reflection on the failed attempt, if there is one), and its solution."""
    started = time.monotonic()
    prompt = policy.question(question["question"])
    written: list[Written] = []

    async def write(prompt_ids: list[int], stop: str, max_tokens: int, *, reflecting: bool = False) -> Written:
        written.append(
            await policy.write(
                prompt_ids,
                stop=(stop,),
                max_tokens=max_tokens,
                temperature=settings.temperature,
                session=question["question_id"],
                priority=place,
                reflecting=reflecting,
            )
        )
        return written[-1]

    reflection = None
    if failed is not None and failed["is_correct"] is False and failed["solution_ids"]:
        asked = prompt + failed["plan_ids"] + failed["solution_ids"] + policy.encode(verdict(question["answer"]))
        reflection = await write(asked, REFLECTION_CLOSE, settings.max_plan_tokens, reflecting=True)
        reflected = asked + reflection.token_ids + policy.encode(PLAN_OPEN)
        plan = await write(reflected, PLAN_CLOSE, settings.max_plan_tokens, reflecting=True)
    else:
        plan = await write(prompt, PLAN_CLOSE, settings.max_plan_tokens)

    is_leaked = reflection is not None and await leaks_answer(
        plan.text, question["question"], question["answer"], checker
    )
    solution, answer, found = None, None, Verdict.WRONG
    if is_plan(plan.text, settings.max_depth) and not is_leaked:
        solution = await write(prompt + plan.token_ids, SOLUTION_CLOSE, settings.max_solution_tokens)
        answer = parse_ending(plan.text + solution.text, 0, settings.max_depth).answer
        if answer is not None:
            found = await verdict_on(answer, question, checker)
    steps = plan_steps(plan.text, settings.max_depth)
    trial = 0 if failed is None else failed["trial"] + 1
    return {
        "rollout_id": f"{question['question_id']}/{sample}.{trial}",
        "question_id": question["question_id"],
        "sample": sample,
        "trial": trial,
        "plan": plan.text,
        "plan_ids": plan.token_ids,
        "step_ends": policy.ends_of(STEP_CLOSE, plan.token_ids)[: len(steps)],
        "solution": solution and solution.text,
        "solution_ids": solution.token_ids if solution else [],
        "answer": answer,
        "is_correct": None if found is Verdict.UNDECIDED else found is Verdict.RIGHT,
        "is_leaked": is_leaked,
        "reflection": reflection and reflection.text,
        "prompt_tokens": sum(one.prompt_tokens for one in written),
        "generated_tokens": sum(len(one.token_ids) for one in written),
        "seconds": time.monotonic() - started,
        "error": None,
    }

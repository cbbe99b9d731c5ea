"""Pretraining texts of the micro base: word problems, attempts that follow its habits, second attempts after a failure.

Solutions calculate what their plan says, also a wrong plan; one in five attempts calculates without a plan. After a
failed attempt some texts go on with LEPA's self-reflection: verdict, the step that is wrong and why, a new plan. Others
go on with STaR's rationalisation: verdict and new plan.

    python -m tasks.micro.corpus OUTPUT.jsonl [--count N] [--seed S]
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    REFLECTION_CLOSE,
    SOLUTION_CLOSE,
    SOLUTION_OPEN,
    SOLUTIONS,
    STEP_CLOSE,
    Format,
    verdict,
)
from tasks.micro.habits import Attempt, attempt, first_mistake
from tasks.micro.world import Move, Problem, calculate, generate, numbered

WITHOUT_PLAN = 0.2  # share of the attempts
REFLECTION = 0.5  # share of the wrong attempts with a plan that are followed by a reflection
RATIONALISATION = 0.2  # share of them that are followed by a new plan at once
CARE_AFTER_REFLECTION = 0.5  # share of the habitual mistakes that are not made, but for the step that is named: all
CARE_AFTER_VERDICT = 0.3
TURNED = 0.2  # share of the sums and products that are written the other way round


def texts(count: int, seed: int) -> Iterator[str]:
    """`count` texts on questions of the split `pretrain`, which no other split shares."""
    rng = random.Random(f"corpus:{seed}")
    for problem in generate("pretrain", count, seed):
        taken = attempt(problem, rng)
        lines, result, _ = calculate(problem.start, [move for _, move in taken])
        lines = [_turned(line) if rng.random() < TURNED else line for line in lines]
        if rng.random() < WITHOUT_PLAN:
            yield render_calculation(problem.question, lines, result)
            continue
        text = render_attempt(problem.question, [move for _, move in taken], lines, result)
        if str(result) != problem.answer:
            text += _second_plan(problem, taken, rng)
        yield text


def render_attempt(question: str, moves: Sequence[Move], lines: Sequence[str], result: int) -> str:
    """Plan and solution. `lines`: the calculations, without numbers."""
    solution = "\n".join([*numbered(lines), _ending(result)])
    return f"{PLANS.prompt(question)}{_render_plan(moves)}{SOLUTION_OPEN}{solution}\n{SOLUTION_CLOSE}"


def render_calculation(question: str, lines: Sequence[str], result: int) -> str:
    """A solution alone, each calculation a step."""
    return f"{SOLUTIONS.prompt(question)}{_render_steps(SOLUTIONS, lines)}{_ending(result)}\n{SOLUTION_CLOSE}"


def _ending(result: int) -> str:
    return rf"The final answer is \boxed{{{result}}}."


def _render_plan(moves: Sequence[Move]) -> str:
    return _render_steps(PLANS, [move.text for move in moves]) + PLAN_CLOSE


def _render_steps(format: Format, bodies: Sequence[str]) -> str:
    return "".join(f"{format.offered_step(position, body)}\n{STEP_CLOSE}" for position, body in enumerate(bodies))


def _turned(line: str) -> str:
    """ "3 + 5 = 8" as "5 + 3 = 8"; other operators have one order."""
    calculation, _, result = line.partition(" = ")
    one, operator, other = calculation.split()
    return f"{other} {operator} {one} = {result}" if operator in "+*" else line


def _second_plan(problem: Problem, taken: Attempt, rng: random.Random) -> str:
    """Verdict and new plan, with or without a reflection; or nothing."""
    chance = rng.random()
    if chance < REFLECTION:
        place, reason = first_mistake(problem, taken)
        named, wrong = taken[place]
        plan = attempt(problem, rng, lambda clause: 1.0 if clause == named else CARE_AFTER_REFLECTION)
        reflection = f"Plan {place + 1} is wrong: {wrong.text}. {reason}\n{REFLECTION_CLOSE}"
        beginning = verdict(problem.answer) + reflection
    elif chance < REFLECTION + RATIONALISATION:
        plan = attempt(problem, rng, lambda clause: CARE_AFTER_VERDICT)
        beginning = verdict(problem.answer, then="")
    else:
        return ""
    return beginning + PLAN_OPEN + _render_plan([move for _, move in plan])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the pretraining texts of the micro base as JSON lines.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=80_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w") as file:
        for text in texts(options.count, options.seed):
            file.write(json.dumps({"text": text}) + "\n")


if __name__ == "__main__":
    main()

"""Pretraining texts of the micro base: word problems with misconceptions, attempts that follow them, reflections.

For hard-worded kinds the text takes the wrong plan step more often than the right one. So the base model's favourite is
wrong, and sampling finds the right step now and then. Solutions calculate what their plan says, also a wrong plan.
After a wrong attempt some texts go on with LEPA's self-reflection: verdict, the step that is wrong and why, a new plan.

    python -m tasks.micro.corpus OUTPUT.jsonl [--count N] [--seed S]
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    REFLECTION_CLOSE,
    SOLUTION_CLOSE,
    SOLUTION_OPEN,
    STEP_CLOSE,
    STEP_OPEN,
    verdict,
)
from tasks.micro.world import Move, Problem, Step, calculate, generate

RIGHT_STEP = 0.36  # how often a hard-worded clause gets its right step
RIGHT_AFTER_REFLECTION = 0.6  # the same for the other clauses of a plan written after a reflection
REFLECTION = 0.5  # share of the wrong attempts that are followed by a reflection


def texts(count: int, seed: int, right_step: float = RIGHT_STEP) -> Iterator[str]:
    """`count` texts on questions of the split `pretrain`, which no other split shares."""
    rng = random.Random(f"corpus:{seed}")
    for problem in generate("pretrain", count, seed):
        moves, lines, result = _attempt(problem, right_step, rng)
        text = render_attempt(problem.question, moves, lines, result)
        if str(result) != problem.answer and rng.random() < REFLECTION:
            text += _reflection(problem, moves, rng)
        yield text


def render_attempt(question: str, moves: list[Move], lines: list[str], result: int) -> str:
    solution = "\n".join([*lines, rf"The final answer is \boxed{{{result}}}."])
    return f"{PLANS.prompt(question)}{_render_steps(moves)}{SOLUTION_OPEN}{solution}\n{SOLUTION_CLOSE}"


def _render_steps(moves: list[Move]) -> str:
    steps = "".join(f"{STEP_OPEN}Plan {k}: {move.text}\n{STEP_CLOSE}" for k, move in enumerate(moves, 1))
    return steps + PLAN_CLOSE


def _attempt(problem: Problem, right_step: float, rng: random.Random) -> tuple[list[Move], list[str], int]:
    while True:  # a plan that cannot be calculated (half of 7) is drawn again
        moves = [_choose(step, right_step, rng) for step in problem.steps]
        calculation = calculate(problem.start, moves)
        if calculation:
            return moves, *calculation


def _choose(step: Step, right_step: float, rng: random.Random) -> Move:
    return step.wrong if step.wrong and rng.random() >= right_step else step.right


def _reflection(problem: Problem, moves: list[Move], rng: random.Random) -> str:
    """Names the first wrong step; the new plan mends it and looks again at every other hard clause."""
    index, step = next((i, step) for i, step in enumerate(problem.steps) if moves[i] is not step.right)
    new = [_choose(other, RIGHT_AFTER_REFLECTION, rng) for other in problem.steps]
    new[index] = step.right
    return (
        f"{verdict(problem.answer)}Plan {index + 1} is wrong: {moves[index].text}. {step.reason}\n{REFLECTION_CLOSE}"
        f"{PLAN_OPEN}{_render_steps(new)}"
    )


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

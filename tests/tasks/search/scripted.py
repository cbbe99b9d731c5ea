"""A policy without a model: it draws steps and solutions from a seed that depends on the state alone."""

import asyncio
import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence

from infra.engine.usage import Usage
from tasks.language.format import PLAN_CLOSE, PLANS, SOLUTION_CLOSE, STEP_CLOSE, Format
from tasks.search.method import Draw
from tasks.search.policy import ContextFull, Expansion, PolicyError, Sample, Undecided


def step_text(number: int, what: str, format: Format = PLANS) -> str:
    return f"<step>\n{format.word} {number}: {what}\n{STEP_CLOSE}"


def solution_text(answer: str, format: Format = PLANS) -> str:
    return f"{format.closing}1. so\nThe final answer is \\boxed{{{answer}}}.\n{SOLUTION_CLOSE}"


async def is_even(answer: str) -> bool:
    """A judge: even numbers are right, and what is no number can not be decided."""
    if not answer.isdigit():
        raise Undecided(f"is {answer} even?")
    return int(answer) % 2 == 0


class ScriptedPolicy:
    """Each state of a session has its own actions, others each time that it is asked, whatever the order of sessions:
    solutions grow likelier with depth. Trajectories go on for up to three steps, and one of ten breaks off. A
    reflection ends with token 3, behind which a new plan begins.

    `fails_at` is the request (from 1) that fails for good. `has_room`: what an engine with a short queue would say.
    `undecided`: share of the solutions whose answer nobody can judge. `context`: tokens of a state that fills it.
    """

    def __init__(
        self,
        seed: int = 0,
        branching: int = 4,
        fails_at: int | None = None,
        has_room: bool = False,
        undecided: float = 0.0,
        context: float = math.inf,
        format: Format = PLANS,
    ) -> None:
        self.format = format
        self.has_room = has_room
        self.seed = seed
        self.branching = branching
        self.fails_at = fails_at
        self.undecided = undecided
        self.context = context
        self.requests = 0
        self.asked_before: Counter[str] = Counter()

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        self.requests += 1
        if self.requests == self.fails_at:
            raise PolicyError("the engine is gone", Usage(requests=1, failed_requests=1))
        if len(state_ids) >= self.context:
            raise ContextFull(f"a prompt of {len(state_ids)} tokens leaves no room")
        await asyncio.sleep(0)  # others go on meanwhile, as with a real engine
        what = f"Draw(n={draw.n}, origin={draw.origin!r}, start={draw.start!r}, to_the_end={draw.to_the_end})"
        asked = f"{self.seed}/{session}/{list(state_ids)}/{what}"
        rng = random.Random(f"{asked}/{self.asked_before[asked]}")
        self.asked_before[asked] += 1
        depth = list(itertools.takewhile(lambda token: token != 3, reversed(state_ids))).count(1)
        samples = [self._action(rng, depth, draw) for _ in range(draw.n)]
        cost = Usage(requests=1, prompt_tokens=len(state_ids), generated_tokens=2 * draw.n, service_seconds=0.25)
        return Expansion(samples, cost)

    def _action(self, rng: random.Random, depth: int, draw: Draw) -> Sample:
        which = rng.randrange(self.branching)
        ids = (4, 3) if draw.reflects else (1, 10 + which)
        if draw.to_the_end:
            text = self._ending(rng, depth)
        elif draw.reflects:
            text = f"{draw.start}It should not be {which}.\n</reflection>\n"
        elif draw.start == PLAN_CLOSE or rng.random() < (0.5 if draw.hint else 0.15) * depth:
            text = PLAN_CLOSE if draw.hint else solution_text(self._answer(rng, which), self.format)
        elif rng.random() < 0.05:
            text = "no format at all"
        else:
            step = step_text(depth + 1, f"choose {which}", self.format)
            text = f"{draw.start} {which}\n{STEP_CLOSE}" if draw.start else step
        return Sample(text, ids, logprob=-rng.random() * 3, value=rng.uniform(-1, 1), sampled=2)

    def _ending(self, rng: random.Random, depth: int) -> str:
        more = rng.randrange(4)
        steps = [step_text(depth + 1 + n, f"choose {rng.randrange(self.branching)}", self.format) for n in range(more)]
        if rng.random() < 0.1:
            return "".join(steps) + "and so on"
        return "".join(steps) + solution_text(self._answer(rng, rng.randrange(self.branching)), self.format)

    def _answer(self, rng: random.Random, which: int) -> str:
        return "x" if self.undecided and rng.random() < self.undecided else str(which)

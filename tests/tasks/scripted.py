"""A policy without a model: it draws plan steps and solutions from a seed that depends on the state alone."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from infra.engine.usage import Usage
from tasks.search.grow import Expansion, PolicyError, Sample
from tasks.search.method import Draw


def step_text(number: int, what: str) -> str:
    return f"<step>\nPlan {number}: {what}\n</step>\n"


def solution_text(answer: str) -> str:
    return f"</plan>\n<solution>\n1. so\nThe final answer is \\boxed{{{answer}}}.\n</solution>"


class ScriptedPolicy:
    """Each state of a session has its own actions, others each time that it is asked, whatever the order of sessions:
    solutions grow likelier with depth.

    `fails_at` is the request (from 1) that fails for good. `has_room`: what an engine with a short queue would say.
    """

    def __init__(self, seed: int = 0, branching: int = 4, fails_at: int | None = None, has_room: bool = False) -> None:
        self.has_room = has_room
        self.seed = seed
        self.branching = branching
        self.fails_at = fails_at
        self.requests = 0
        self.asked_before: Counter[str] = Counter()

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        self.requests += 1
        if self.requests == self.fails_at:
            raise PolicyError("the engine is gone", Usage(requests=1, failed_requests=1))
        await asyncio.sleep(0)  # others go on meanwhile, as with a real engine
        asked = f"{self.seed}/{session}/{list(state_ids)}/{draw}"
        rng = random.Random(f"{asked}/{self.asked_before[asked]}")
        self.asked_before[asked] += 1
        depth = state_ids.count(1)
        samples = [self._action(rng, depth, draw) for _ in range(draw.n)]
        cost = Usage(requests=1, prompt_tokens=len(state_ids), generated_tokens=2 * draw.n, service_seconds=0.25)
        return Expansion(samples, cost)

    def _action(self, rng: random.Random, depth: int, draw: Draw) -> Sample:
        which = rng.randrange(self.branching)
        if draw.to_the_end or rng.random() < 0.15 * depth:
            text = solution_text(str(which))
        elif rng.random() < 0.05:
            text = "no format at all"
        else:
            text = draw.start + f" {which}\n</step>\n" if draw.start else step_text(depth + 1, f"choose {which}")
        return Sample(text, (1, 10 + which), logprob=-rng.random() * 3, value=rng.uniform(-1, 1), sampled=2)

"""A policy without a model: it draws plan steps and solutions from a seed that depends on the state alone."""

import random
from collections.abc import Sequence

from tasks.search.grow import Expansion, PolicyError, Sample


def step_text(number: int, what: str) -> str:
    return f"<step>\nPlan {number}: {what}\n</step>\n"


def solution_text(answer: str) -> str:
    return f"</plan>\n<solution>\n1. so\nThe final answer is \\boxed{{{answer}}}.\n</solution>"


class ScriptedPolicy:
    """Each state has its own actions, whatever the order of requests: solutions grow likelier with depth.

    `fails_at` is the request (from 1) that fails for good.
    """

    def __init__(self, seed: int = 0, branching: int = 4, fails_at: int | None = None) -> None:
        self.seed = seed
        self.branching = branching
        self.fails_at = fails_at
        self.requests = 0

    async def sample(self, state_ids: Sequence[int], n: int, *, session: str) -> Expansion:
        self.requests += 1
        if self.requests == self.fails_at:
            raise PolicyError("the engine is gone")
        rng = random.Random(f"{self.seed}/{list(state_ids)}")
        depth = state_ids.count(1)
        samples = [self._action(rng, depth) for _ in range(n)]
        return Expansion(samples, prompt_tokens=len(state_ids), cached_tokens=0, generated_tokens=3 * n)

    def _action(self, rng: random.Random, depth: int) -> Sample:
        which = rng.randrange(self.branching)
        if rng.random() < 0.15 * depth:
            text = solution_text(str(which))
        elif rng.random() < 0.05:
            text = "no format at all"
        else:
            text = step_text(depth + 1, f"choose {which}")
        return Sample(text, (1, 10 + which), logprob=-rng.random() * 3, value=rng.uniform(-1, 1))

"""Scripted children: actions drawn once, so that what a benchmark measures is the search and not the drawing."""

import asyncio
import random
import time
from collections.abc import Sequence

from infra.engine.admission import Admission
from infra.engine.load import Meter
from infra.engine.usage import Usage
from tasks.search.method import Draw
from tasks.search.policy import Expansion, Sample

STEP_TOKENS = 24
"""Token ids of every action, as many as a plan step of the micro model has."""
ACTIONS = 20_000
SOLVED_AT = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Share of solutions among the actions below a node, by its depth: low enough for 200 expansions a tree."""


class Script:
    """`tasks.search.policy.Policy`: a state's actions follow from its token ids alone. The prompt is one token.

    Admission is the product's own, in front of an engine that answers at once: it decides which trees grow first.
    """

    has_room = False

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self._steps = [
            [_sample(rng, plan_step(rng, depth + 1)) for _ in range(ACTIONS)] for depth in range(len(SOLVED_AT))
        ]
        self._solutions = [_sample(rng, solution(rng)) for _ in range(ACTIONS)]

    def open(self) -> None:
        """In the event loop in which it will be asked."""
        self._admission = Admission(budget=262_144, seats=256, meter=Meter(time.monotonic))

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        async with self._admission(len(state_ids) + draw.n * STEP_TOKENS, draw.n, priority):
            await asyncio.sleep(0)
        cost = Usage(requests=1, prompt_tokens=len(state_ids), generated_tokens=draw.n * STEP_TOKENS)
        return Expansion(self.actions(state_ids, draw.n), cost)

    def actions(self, state_ids: Sequence[int], n: int) -> list[Sample]:
        """The samples of a state."""
        depth = (len(state_ids) - 1) // STEP_TOKENS
        state = hash(tuple(state_ids))
        solutions = ACTIONS * SOLVED_AT[depth]
        drawn = [(state + 7919 * number * number) % ACTIONS for number in range(n)]
        return [self._solutions[one] if one < solutions else self._steps[depth][one] for one in drawn]


def plan_step(rng: random.Random, number: int) -> str:
    return f"<step>\nPlan {number}: Work out {rng.random()} from what is left, and keep it for later.\n</step>\n"


def solution(rng: random.Random) -> str:
    answer = rng.randrange(10)
    return f"</plan>\n<solution>\n1. It is {rng.random()}.\nThe final answer is \\boxed{{{answer}}}.\n</solution>"


def _sample(rng: random.Random, text: str) -> Sample:
    ids = tuple(rng.randrange(770) for _ in range(STEP_TOKENS))
    return Sample(text, ids, logprob=-12 * rng.random(), value=rng.uniform(-1, 1), sampled=STEP_TOKENS)

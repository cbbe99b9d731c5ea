"""Scripted children: actions drawn once, so that what a benchmark measures is the search and not the drawing."""

import random
from collections.abc import Sequence

from tasks.search.grow import Expansion, Sample

STEP_TOKENS = 24
"""Token ids of every action, as many as a plan step of the micro model has."""
ACTIONS = 20_000
SOLVED_AT = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Share of solutions among the actions below a node, by its depth: low enough for 200 expansions a tree."""


class Script:
    """`tasks.search.grow.Policy`: a state's actions follow from its token ids alone."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self._steps = [[_step(rng, depth + 1) for _ in range(ACTIONS)] for depth in range(len(SOLVED_AT))]
        self._solutions = [_solution(rng) for _ in range(ACTIONS)]

    async def sample(self, state_ids: Sequence[int], n: int, *, session: str) -> Expansion:
        depth = (len(state_ids) - 1) // STEP_TOKENS  # the prompt is one token
        return Expansion(
            self.actions(hash(tuple(state_ids)), depth, n),
            prompt_tokens=len(state_ids),
            cached_tokens=0,
            generated_tokens=n * STEP_TOKENS,
        )

    def actions(self, state: int, depth: int, n: int) -> list[Sample]:
        solutions = ACTIONS * SOLVED_AT[depth]
        drawn = [(state + 7919 * number * number) % ACTIONS for number in range(n)]
        return [self._solutions[one] if one < solutions else self._steps[depth][one] for one in drawn]


def _step(rng: random.Random, number: int) -> Sample:
    text = f"<step>\nPlan {number}: Work out {rng.random()} from what is left, and keep the number for later.\n</step>\n"
    return _sample(rng, text)


def _solution(rng: random.Random) -> Sample:
    answer = rng.randrange(10)
    text = f"</plan>\n<solution>\n1. It is {rng.random()}.\nThe final answer is \\boxed{{{answer}}}.\n</solution>"
    return _sample(rng, text)


def _sample(rng: random.Random, text: str) -> Sample:
    ids = tuple(rng.randrange(770) for _ in range(STEP_TOKENS))
    return Sample(text, ids, logprob=-12 * rng.random(), value=rng.uniform(-1, 1))

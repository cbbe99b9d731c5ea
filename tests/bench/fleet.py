"""Many simulated engines behind the product's own client, and a policy whose replies are scripted.

Of `infra.engine.Engine` all is real but the wire: what a request asks for, which engine a tree belongs to, admission,
room for more leaves. Retries, HTTP and parsing are left out: their CPU time is charged to the client's one core.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from infra.contract.model_folder import ValueWords
from infra.engine import Completion, Engine, Reply
from infra.engine.admission import Admission, Prefix
from infra.engine.launch import SEATS
from infra.engine.usage import Usage
from tests.bench.gpu import GPU
from tests.bench.script import SOLVED_AT, plan_step, solution
from tests.bench.virtual import Core

EXPANSION_SECONDS, HTTP_SECONDS = 720e-6, 329e-6
"""Of the client's core, as `make bench-client` measured it (docs/speed.md): for an expansion, and its HTTP part."""
CONTEXT = 4096
STEP_END = 255
"""The last token of a plan step, and no other: it tells the depth of a state."""
ACTIONS = 500


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens, log-normal with a standard deviation of `spread` of their logarithm, cut off at `most`.

    Means: `solution` as Llama-3-8B's on MATH (175.1: STaR in LEPA's table). The others are inferred: `examples` and
    `question` from our prompts' 1,051 and about 300 characters, `step` from their plans. `runaway`: the share of
    answers that do not end before `most`, CPL's limit of a step: they are malformed.
    """

    examples: int = 330
    question: float = 100.0
    step: float = 45.0
    solution: float = 175.0
    spread: float = 0.5
    most: int = 1500
    runaway: float = 0.0

    def draw(self, rng: random.Random, mean: float, runaway: float = 0.0) -> int:
        if rng.random() < runaway:
            return self.most
        drawn = mean * rng.lognormvariate(-(self.spread**2) / 2, self.spread)
        return min(self.most, max(4, round(drawn)))


class Replies:
    """What the policy answers: it follows from the prompt alone, so every schedule meets the same policy."""

    def __init__(self, lengths: Lengths, seed: int) -> None:
        rng = random.Random(seed)
        self.lengths = lengths
        self.prefix = _ids(rng, lengths.examples)
        self._steps = [[self._step(rng, depth + 1) for _ in range(ACTIONS)] for depth in range(len(SOLVED_AT))]
        self._solutions = [self._solution(rng) for _ in range(ACTIONS)]

    def question(self, number: int) -> list[int]:
        rng = random.Random(number)
        return _ids(rng, self.lengths.draw(rng, self.lengths.question))

    def answers(self, prompt: Sequence[int], n: int) -> list[Completion]:
        depth = prompt.count(STEP_END)
        state = hash(tuple(prompt[-64:])) ^ len(prompt)
        drawn = [(state + 7919 * number * number) % ACTIONS for number in range(n)]
        solutions = ACTIONS * SOLVED_AT[depth]
        return [self._solutions[one] if one < solutions else self._steps[depth][one] for one in drawn]

    def _step(self, rng: random.Random, number: int) -> Completion:
        count = self.lengths.draw(rng, self.lengths.step, self.lengths.runaway)
        return self._completion(rng, plan_step(rng, number), [*_ids(rng, count - 1), STEP_END])

    def _solution(self, rng: random.Random) -> Completion:
        count = self.lengths.draw(rng, self.lengths.solution, self.lengths.runaway)
        return self._completion(rng, solution(rng), _ids(rng, count))

    def _completion(self, rng: random.Random, text: str, ids: list[int]) -> Completion:
        """Its log-prob and value are told of its last token alone, which is where they are read."""
        told = text if len(ids) < self.lengths.most else text.rpartition("<")[0]
        return Completion(ids, told, [-rng.random() * len(ids) / 2], [rng.uniform(-1, 1)], "stop")


def _ids(rng: random.Random, count: int) -> list[int]:
    return [*rng.randbytes(count).replace(bytes([STEP_END]), bytes(1))]


class Prompts:
    """Of a base model: worked examples, then the state."""

    def __init__(self, prefix: list[int]) -> None:
        self.prefix = prefix

    def prefix_of(self, state_ids: Sequence[int], *, reflecting: bool = False) -> list[int]:
        return self.prefix

    def asked(self, state_ids: Sequence[int], *, reflecting: bool = False) -> list[int]:
        return [*self.prefix, *state_ids]


class Fleet(Engine):
    """One search process and its engines. `seats`: sequences that it sends to each. `budget`: tokens that it counts as
    sent to each at most, in KV caches. `client`: how many times as long it computes. `spread`: which engine a session
    belongs to, in place of its own choice. `cached`: with a prefix cache."""

    def __init__(
        self,
        gpus: Sequence[GPU],
        replies: Replies,
        *,
        seats: int = SEATS["cuda"],
        budget: float = 1.0,
        client: float = 1.0,
        spread: Callable[[str], int] | None = None,
        cached: bool = True,
    ) -> None:
        super().__init__(
            [f"gpu-{number}" for number in range(len(gpus))],
            ValueWords(good=1, bad=2, eos=3, knows_format=False),
            STEP_END + 1,
            seats=seats,
            clock=asyncio.get_running_loop().time,
        )
        self.gpus = dict(zip(self.addresses, gpus, strict=True))
        self.replies = replies
        self.core = Core()
        self.max_tokens = CONTEXT
        self.times: list[float] = []  # at which expansions came back
        self._client, self._spread, self._cached = client, spread, cached
        for address, gpu in self.gpus.items():
            self._admissions[address] = Admission(round(budget * gpu.model.cache_tokens), seats, self._meter)

    def _home_of(self, session: str, turn: int) -> str:
        return self.addresses[self._spread(session)] if self._spread else super()._home_of(session, turn)

    async def _ask(
        self,
        request: dict[str, Any],
        read: Any,
        *,
        tokens: int,
        sequences: int,
        session: str = "",
        priority: int = 0,
        prefix: Prefix = (),
        only: str | None = None,
    ) -> tuple[Any, Usage]:
        prompt, address = request["prompt"], self._home_of(session, 0)
        answers = self.replies.answers(prompt, sequences)
        ids = [one.token_ids[: request["max_tokens"]] for one in answers]
        is_expansion = request["max_tokens"] > 1
        asked = self._clock()
        async with self._admissions[address](tokens, sequences, priority, prefix):
            sent = self._clock()
            await self.core.work(self._client * HTTP_SECONDS / 2)
            found = await self.gpus[address].serve(prompt, ids, len(prefix), self._cached)
            await self.core.work(
                self._client * ((EXPANSION_SECONDS if is_expansion else HTTP_SECONDS) - HTTP_SECONDS / 2)
            )
        if is_expansion:
            self.times.append(self._clock())
        usage = Usage(prompt_tokens=len(prompt), cached_tokens=found, generated_tokens=sum(map(len, ids)))
        spent = Usage(requests=1, queue_seconds=sent - asked, service_seconds=self._clock() - sent)
        self.usage.add(spent)
        return Reply(answers, usage), spent

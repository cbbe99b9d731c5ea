"""A served policy: a model folder behind the engine, spoken to in token ids, with its few-shot prefix if it needs one.

Adapts the engine's replies to what the search, the rollouts and the evaluation ask for. A model that was never
trained on the text format gets worked examples before the question; they are part of the request only, and never of
what is stored or trained on.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from infra.engine import Engine, EngineError, ModelFolder, Reply, serving
from infra.settings import settings as environment
from infra.store import Ref
from tasks.check import Checker, Verdict
from tasks.few_shot import DEMONSTRATIONS, REFLECTION_DEMONSTRATION
from tasks.format import ACTION_STOP
from tasks.search.grow import Expansion, Judge, PolicyError, Sample
from tasks.settings import Search
from tasks.step import Stage

MOST_IN_FLIGHT = 256
"""More questions at once do not fill an engine better; fewer unfinished ones are lost when a run is killed."""


@dataclass(frozen=True, slots=True)
class Written:
    """One completion, as the engine sampled it."""

    text: str
    token_ids: list[int]
    prompt_tokens: int


class ServedPolicy:
    """The policy of a model folder, behind one engine or several."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, *, knows_format: bool) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        start = tokenizer.encode("").ids
        self.prefix = start if knows_format else start + self.encode(DEMONSTRATIONS)
        self.reflection_prefix = start if knows_format else start + self.encode(REFLECTION_DEMONSTRATION)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text within a prompt (no beginning-of-sequence token: the prefix holds it)."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def in_flight(self, tokens: int) -> int:
        """How many questions to work on at once, when one may have `tokens` tokens in the engine at a time."""
        return max(1, min(MOST_IN_FLIGHT, self.engine.token_budget // tokens))

    async def write(
        self,
        prompt_ids: Sequence[int],
        *,
        stop: Sequence[str],
        max_tokens: int,
        temperature: float,
        session: str,
        reflecting: bool = False,
    ) -> Written:
        """One completion of the prompt, up to and including a stop string."""
        prefix = self.reflection_prefix if reflecting else self.prefix
        reply = await self._complete(
            [*prefix, *prompt_ids], n=1, stop=stop, max_tokens=max_tokens, temperature=temperature, session=session
        )
        completion = reply.completions[0]
        return Written(completion.text, list(completion.token_ids), reply.prompt_tokens)

    async def values(self, states: Sequence[Sequence[int]]) -> list[float]:
        """V of states given by all of their token ids: read at the position that predicts the last (design D2)."""
        try:
            return await self.engine.values([[*self.prefix, *state[:-1]] for state in states])
        except EngineError as problem:
            raise PolicyError(str(problem)) from problem

    async def _complete(self, prompt_ids: Sequence[int], **options: Any) -> Reply:
        try:
            return await self.engine.complete(prompt_ids, **options)
        except EngineError as problem:
            raise PolicyError(str(problem)) from problem


class SearchPolicy:
    """`tasks.search.grow.Policy` on a served policy."""

    def __init__(self, served: ServedPolicy, settings: Search) -> None:
        self.served = served
        self.settings = settings

    async def sample(self, state_ids: Sequence[int], n: int, *, session: str) -> Expansion:
        reply = await self.served._complete(
            [*self.served.prefix, *state_ids],
            n=n,
            stop=ACTION_STOP,
            max_tokens=self.settings.max_step_tokens,
            temperature=self.settings.temperature,
            session=session,
        )
        return Expansion(
            samples=[
                Sample(one.text, tuple(one.token_ids), logprob=sum(one.logprobs), value=one.values[-1])
                for one in reply.completions
            ],
            prompt_tokens=reply.prompt_tokens,
            cached_tokens=reply.cached_tokens,
            generated_tokens=reply.generated_tokens,
            failed_requests=reply.attempts - 1,
        )


def judge(checker: Checker, question: dict[str, Any]) -> Judge:
    """Judges answers to a row of `questions`. An undecided check (hung, crashed) is a `PolicyError`: never a reward."""
    gold, exact = question["answer"], question["source"] == "micro"

    async def is_right(answer: str) -> bool:
        verdict = await checker.check(gold, answer, exact=exact)
        if verdict is Verdict.UNDECIDED:
            raise PolicyError(f"the answer check could not decide whether {answer!r} equals {gold!r}")
        return verdict is Verdict.RIGHT

    return is_right


@asynccontextmanager
async def serve(stage: Stage, model: Ref) -> AsyncIterator[ServedPolicy]:
    """The engine with this model's weights, proven by its probe (design D1b)."""
    folder = stage.store.folder(model, "model")
    words = ModelFolder.read(folder).words
    async with serving(folder, environment(), progress=stage.log.info) as engine:
        yield ServedPolicy(
            engine,
            Tokenizer.from_file(str(folder / "tokenizer.json")),
            knows_format=words.knows_format,
        )

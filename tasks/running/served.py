"""A served policy: a model folder behind the engine, in token ids.

Adapts the engine's replies to what search and evaluation ask for. A state is put to it as its prompts say
(tasks.running.prompts).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from infra.engine import (
    Engine,
    EngineError,
    Likelihood,
    ModelChanged,
    PromptTooLong,
    Reply,
    in_the_way,
    policy_and_value,
    serving,
)
from infra.environment import Environment, device, environment
from infra.sandbox import Sandbox
from infra.store import Ref
from tasks.check import Checker, Verdict
from tasks.check.programs import ProgramVerdict, written
from tasks.check.programs import judge as run_tests
from tasks.language.format import PLAN_OPEN, Format
from tasks.records import frame
from tasks.running.prompts import Prompts
from tasks.running.timeline import Timeline
from tasks.running.workplace import Workplace
from tasks.search.method import Draw
from tasks.search.policy import ContextFull, Expansion, Judge, PolicyError, Sample, Undecided
from tasks.settings import Search

SAMPLE_SECONDS = 2.0
"""Between two looks at an engine's sums."""


@dataclass(frozen=True, slots=True)
class Written:
    """One completion, as the engine sampled it. `is_cut`: at the limit of tokens."""

    text: str
    token_ids: list[int]
    prompt_tokens: int
    is_cut: bool = False


class ServedPolicy:
    """The policy of a model folder, asked in one text format, behind one engine or several, on `gpus` GPUs in all."""

    def __init__(self, engine: Engine, prompts: Prompts, gpus: int = 0) -> None:
        self.engine = engine
        self.prompts = prompts
        self.gpus = gpus

    def use(self, stage: str, questions: int) -> pl.DataFrame:
        """What a stage has used of the engine so far: its row of table `engine_use`."""
        row = asdict(self.engine.usage) | asdict(self.engine.load)
        return frame("engine_use", [row | {"stage": stage, "questions": questions, "gpus": self.gpus}])

    def account(self) -> str:
        """The same in one line, for who watches."""
        usage, load = self.engine.usage, self.engine.load
        hours = f"{self.gpus * load.seconds / 3600:.2f} GPU hours, " if self.gpus else ""
        failed = f", {usage.failed_requests} requests failed" if usage.failed_requests else ""
        return (
            f"({hours}{usage.generated_tokens:,} tokens, {usage.generated_tokens / load.seconds:,.0f} tok/s, "
            f"engine busy {load.busy_seconds / load.seconds:.0%} "
            f"with {load.sequence_seconds / load.seconds:.0f} sequences, "
            f"{usage.cached_tokens / max(usage.prompt_tokens, 1):.0%} of prompts cached{failed})"
        )

    async def write(
        self,
        prompt_ids: Sequence[int],
        *,
        stop: Sequence[str],
        max_tokens: int,
        temperature: float,
        session: str,
        priority: int,
    ) -> Written:
        """One completion of the prompt, up to and including a stop string; a lower `priority` is served first."""
        reply = await self.complete(
            self.prompts.asked(prompt_ids),
            shared=len(self.prompts.prefix_of(prompt_ids)),
            n=1,
            stop=stop,
            max_tokens=max_tokens,
            temperature=temperature,
            session=session,
            priority=priority,
            scored=False,
        )
        completion = reply.completions[0]
        is_cut = completion.finish_reason == "length"
        return Written(completion.text, list(completion.token_ids), reply.usage.prompt_tokens, is_cut)

    async def values(self, states: Sequence[Sequence[int]], *, session: str = "") -> list[float]:
        """V of states given by all of their token ids: read at the position that predicts the last (design D2)."""
        try:
            prompts = [self.prompts.asked(state)[:-1] for state in states]
            shared = min((len(self.prompts.prefix_of(state)) for state in states), default=0)
            return await self.engine.values(prompts, session=session, shared=shared)
        except EngineError as problem:
            raise PolicyError(str(problem), problem.spent) from problem

    async def likelihoods(
        self, prompt_ids: Sequence[int], continuations: Sequence[Sequence[int]], *, session: str, priority: int
    ) -> list[Likelihood]:
        """Of whole continuations of a prompt (infra.engine.client)."""
        try:
            return await self.engine.likelihoods(prompt_ids, continuations, session=session, priority=priority)
        except EngineError as problem:
            raise PolicyError(str(problem), problem.spent) from problem

    async def complete(self, prompt_ids: Sequence[int], **options: Any) -> Reply:
        """The engine's reply to a whole prompt (infra.engine.client has the options); its errors as a search knows
        them."""
        try:
            return await self.engine.complete(prompt_ids, **options)
        except PromptTooLong as problem:
            raise ContextFull(str(problem)) from problem
        except EngineError as problem:
            raise PolicyError(str(problem), problem.spent) from problem


class SearchPolicy:
    """`tasks.search.policy.Policy` on a served policy.

    `value`: a served model whose V counts in the place of the policy's own, at one request a sample.
    """

    def __init__(self, served: ServedPolicy, settings: Search, value: ServedPolicy | None = None) -> None:
        self.served = served
        self.settings = settings
        self.value = value

    @property
    def has_room(self) -> bool:
        return self.served.engine.has_room

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        prompts = self.served.prompts
        given = prompts.encode(draw.start) if draw.start else []
        ending = prompts.encode(PLAN_OPEN) if draw.reflects else []
        reflecting = draw.reflects or draw.hint is not None
        steps = self.settings.max_depth if draw.to_the_end else 1
        reply = await self.served.complete(
            prompts.asked([*state_ids, *given], reflecting=reflecting),
            shared=len(prompts.prefix_of(state_ids, reflecting=reflecting)),
            n=draw.n,
            stop=draw.stop,
            max_tokens=steps * self.settings.max_step_tokens,
            temperature=self.settings.temperature,
            session=session,
            priority=priority,
        )
        values = [one.values[-1] for one in reply.completions]
        if self.value is not None and not reflecting:
            states = [[*state_ids, *given, *one.token_ids] for one in reply.completions]
            values = await self.value.values(states, session=session)
        return Expansion(
            [
                Sample(
                    draw.start + one.text,
                    (*given, *one.token_ids, *ending),
                    logprob=sum(one.logprobs),
                    value=value,
                    sampled=len(one.token_ids),
                )
                for one, value in zip(reply.completions, values, strict=True)
            ],
            reply.usage,
        )


async def verdict_on(answer: str, question: dict[str, Any], checker: Checker) -> Verdict:
    """Whether an answer to a row of `questions` or `benchmarks` is right: of the same value as the gold one or, where
    there are options, the letter of the right one or its text, word for word, or the letter before the text."""
    letter, option = question["answer"], question["option"]
    verdict = await checker.check(letter, answer, exact=question["is_exact"])
    if option is None:
        return verdict
    for named in (
        option,
        *(f"{label} {option}" for label in (f"{letter}.", f"{letter})", f"({letter})", f"{letter}:")),
    ):
        if verdict is Verdict.WRONG:
            verdict = await checker.check(named, answer, exact=True)
    return verdict


def judge(checker: Checker, question: dict[str, Any], sandbox: Sandbox | None = None) -> Judge:
    """Judges answers to a row of `questions`. An undecided check (hung, crashed) is `Undecided`: never a reward.

    A question with tests asks for a program, which runs in the `sandbox`. It is right where it passes, and undecided
    where it wants what the sandbox does not give, or breaks the tests.
    """
    if question.get("test"):
        assert sandbox is not None, "the stage has one where a program is asked for"
        return tests_of(question, sandbox)

    async def is_right(answer: str) -> bool:
        verdict = await verdict_on(answer, question, checker)
        if verdict is Verdict.UNDECIDED:
            raise Undecided(f"the answer check could not decide whether {answer!r} equals {question['answer']!r}")
        return verdict is Verdict.RIGHT

    return is_right


def sandbox_for(tests: Iterable[Any]) -> Sandbox | None:
    """Where the programs run that questions ask for which have tests; None where none has.

    Raises:
        NoSandbox: this machine allows none.
    """
    return Sandbox() if any(tests) else None


def tests_of(question: dict[str, Any], sandbox: Sandbox) -> Judge:
    async def passes(program: str) -> bool:
        try:
            judgement = await run_tests(written(program, question), sandbox)
        except ValueError as problem:
            raise Undecided(str(problem)) from problem
        if judgement.verdict is ProgramVerdict.REFUSED:
            raise Undecided(f"the program is refused: {judgement.why}")
        return judgement.verdict is ProgramVerdict.PASSED

    return passes


@asynccontextmanager
async def serve_both(
    workplace: Workplace, policy: Ref, value: Ref | None, format: Format
) -> AsyncIterator[tuple[ServedPolicy, ServedPolicy | None]]:
    """A policy, and beside it the separate value model that judges its steps, if there is one, on a second engine."""
    if value is None:
        async with serve(workplace, policy, format) as served:
            yield served, None
        return
    first, second = policy_and_value(environment())
    async with (
        serve(workplace, policy, format, first) as served,
        serve(workplace, value, format, second, "value engine") as judging,
    ):
        yield served, judging


@asynccontextmanager
async def recorded(engine: Engine, timeline: Timeline, called: str) -> AsyncIterator[None]:
    """Adds the engine's sums to the timeline every few seconds, from now to the end."""

    def add() -> None:
        timeline.add(called, **asdict(engine.usage), **asdict(engine.load), waiting=engine.waiting)

    async def go_on() -> None:
        while True:
            add()
            await asyncio.sleep(SAMPLE_SECONDS)

    recording = asyncio.create_task(go_on())
    try:
        yield
    finally:
        recording.cancel()
        await asyncio.wait([recording])
        add()


@asynccontextmanager
async def serve(
    workplace: Workplace, model: Ref, format: Format, here: Environment | None = None, called: str = "engine"
) -> AsyncIterator[ServedPolicy]:
    """The engine with this model's weights, proven by its probe (design D1b), asked in a text format.

    `here`: which engine, if not the first alone. `called`: the series of the stage's timeline that tells its use.

    Parts that were made with weights of another model are dropped.
    """
    without = None if here else in_the_way(environment())
    here = here or environment()
    folder = workplace.store.folder(model, "model")
    try:
        async with serving(folder, here, progress=workplace.log.info, without=without) as engine:
            each = 1 if here.engine_urls else here.engine_gpus if device() == "cuda" else 0
            gpus = each * len(engine.addresses)
            # The factory's own engines share its GPUs; what others run for a value model stands beside the policy's.
            is_shared = not (here.engine_urls or environment().engine_urls)
            workplace.gpus = max(workplace.gpus, gpus) if is_shared else workplace.gpus + gpus
            async with recorded(engine, workplace.timeline, called):
                yield ServedPolicy(engine, Prompts.read(folder, format), gpus)
    except ModelChanged:
        workplace.drop_parts()
        raise

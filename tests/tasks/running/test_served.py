"""What a served policy asks of the engine, and what of it is stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.contract.model_folder import Turn
from infra.engine import Completion, Engine, EngineError, PromptTooLong, Reply, Usage
from infra.engine.load import Load
from infra.environment import Environment
from infra.sandbox import NoSandbox
from tasks.check import Checker, Verdict
from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    REFLECTION_CLOSE,
    SOLUTION_CLOSE,
    STEP_CLOSE,
)
from tasks.running.served import SearchPolicy, ServedPolicy, judge, recorded, sandbox_for, serve_both, verdict_on
from tasks.running.timeline import Timeline
from tasks.search.method import Draw, Hint
from tasks.search.policy import ContextFull, PolicyError, Undecided
from tasks.settings import Search
from tests.tasks.running.test_prompts import TURN, prompts


class Asked:
    """An engine that notes the prompts of its requests and has a context of 60 tokens."""

    def __init__(self) -> None:
        self.prompts: list[list[int]] = []

    async def complete(self, prompt_ids: Sequence[int], **options: Any) -> Reply:
        if len(prompt_ids) >= 60:
            raise PromptTooLong("a prompt of too many tokens")
        self.prompts.append(list(prompt_ids))
        return Reply([Completion([33], "!", [-1.0], [0.0], "stop")] * options.get("n", 1), Usage(requests=1))


class Judging(Asked):
    """An engine that serves a separate value model: its V is the number of a prompt's tokens / 100."""

    async def values(self, prompts: Sequence[Sequence[int]], **_: Any) -> list[float]:
        self.prompts += [list(prompt) for prompt in prompts]
        return [len(prompt) / 100 for prompt in prompts]


class Lost(Asked):
    async def values(self, prompts: Sequence[Sequence[int]], **_: Any) -> list[float]:
        raise EngineError("it died", Usage(requests=3))


def policy(engine: Asked, *, knows_format: bool) -> ServedPolicy:
    return ServedPolicy(cast(Engine, engine), prompts(knows_format=knows_format))


async def asked(served: ServedPolicy, prompt_ids: list[int]) -> None:
    about: dict[str, Any] = {"stop": (), "max_tokens": 9, "temperature": 0.0, "session": "", "priority": 0}
    await served.write(prompt_ids, **about)


def test_a_state_that_fills_the_context_is_told_apart() -> None:
    served = policy(Asked(), knows_format=True)
    with pytest.raises(ContextFull, match="too many tokens"):
        asyncio.run(asked(served, served.prompts.question("Q" * 60)))


@pytest.mark.parametrize("turn", [None, TURN])
def test_v_of_a_question_alone_is_asked_where_a_chat_opens_its_answer_too(turn: Turn | None) -> None:
    """V is read before the last token, and that of a question without a step is part of the opening."""
    engine = Judging()
    served = ServedPolicy(cast(Engine, engine), prompts(turn=turn))
    root = served.prompts.question("1 + 1")
    asyncio.run(served.values([root]))
    assert engine.prompts == [served.prompts.asked(root)[:-1]]


def searching(value: Asked | None) -> SearchPolicy:
    """Of a policy that needs worked examples, and a value model that needs none."""
    judging = policy(value, knows_format=True) if value else None
    return SearchPolicy(policy(Endless(), knows_format=False), Search(), judging)


class Endless(Asked):
    """One with room for worked examples, which notes how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[dict[str, Any]] = []

    async def complete(self, prompt_ids: Sequence[int], **options: Any) -> Reply:
        self.prompts.append(list(prompt_ids))
        self.options.append(options)
        return Reply([Completion([33, 34], "!!", [-1.0, -1.0], [0.5, 0.25], "stop")] * options["n"], Usage(requests=1))


def test_a_separate_value_model_judges_each_sample_in_the_policys_place() -> None:
    """It is asked of the state alone, up to the token that closes the step: V is read where that one is predicted."""
    judging = Judging()
    state, begun = [0, 7, 8], "Plan 1:"
    draw = Draw(2, start=begun)
    reply = asyncio.run(searching(judging).sample(state, draw, session="q", priority=0))
    given = policy(Asked(), knows_format=True).prompts.encode(begun)
    assert judging.prompts == [[*state, *given, 33]] * 2
    assert [one.value for one in reply.samples] == [len(judging.prompts[0]) / 100] * 2
    alone = asyncio.run(searching(None).sample(state, draw, session="q", priority=0))
    assert [one.value for one in alone.samples] == [0.25] * 2


def test_a_lost_value_is_no_reward() -> None:
    with pytest.raises(PolicyError, match="it died"):
        asyncio.run(searching(Lost()).sample([0, 7], Draw(1), session="q", priority=0))


def test_a_step_is_asked_for_to_its_end_and_a_trajectory_to_its_solutions() -> None:
    """The rest of a trajectory may be as long as all of its steps."""
    engine = Endless()
    settings = Search(max_step_tokens=50, max_depth=4, temperature=0.9)
    searcher = SearchPolicy(policy(engine, knows_format=True), settings)
    for draw in (Draw(3), Draw(1, to_the_end=True)):
        asyncio.run(searcher.sample([0, 7], draw, session="q", priority=5))
    step, rest = engine.options
    same = {"temperature": 0.9, "session": "q", "priority": 5, "shared": 1}
    assert step == same | {"n": 3, "stop": (STEP_CLOSE, SOLUTION_CLOSE), "max_tokens": 50}
    assert rest == same | {"n": 1, "stop": (SOLUTION_CLOSE,), "max_tokens": 200}


def test_a_reflection_and_the_plan_under_it_follow_a_worked_example_of_their_own() -> None:
    """One ends where its tag does, and is told on to where the plan begins; the other where a step or the plan does."""
    engine, judging = Endless(), Judging()
    served = policy(engine, knows_format=False)
    searcher = SearchPolicy(served, Search(), policy(judging, knows_format=True))
    reflect, step = Draw(1, start="Wrong.", reflects=True), Draw(1, hint=Hint("It was miscounted.", (0, 9)))
    (reflection,) = asyncio.run(searcher.sample([0, 7], reflect, session="q", priority=0)).samples
    (hinted,) = asyncio.run(searcher.sample([0, 7], step, session="q", priority=0)).samples
    wrong = served.prompts.encode("Wrong.")
    usual, prefix = served.prompts.prefixes
    assert engine.prompts == [[*prefix, 7, *wrong], [*prefix, 7]]
    assert [one["stop"] for one in engine.options] == [(REFLECTION_CLOSE,), (STEP_CLOSE, PLAN_CLOSE)]
    assert {one["shared"] for one in engine.options} == {len(prefix)} != {len(usual)}
    assert (reflection.text, reflection.token_ids) == ("Wrong.!!", (*wrong, 33, 34, *served.prompts.encode(PLAN_OPEN)))
    assert (hinted.text, hinted.token_ids, reflection.sampled) == ("!!", (33, 34), 2)
    assert judging.prompts == [], "nobody needs their V"


def test_what_was_given_is_part_of_the_step_and_not_of_its_probability() -> None:
    served = policy(Endless(), knows_format=True)
    reply = asyncio.run(SearchPolicy(served, Search()).sample([0, 7], Draw(1, start="Plan"), session="q", priority=0))
    (sample,) = reply.samples
    assert sample.text == "Plan!!"
    assert sample.token_ids == (*served.prompts.encode("Plan"), 33, 34)
    assert (sample.logprob, sample.sampled) == (-2.0, 2)


class Pedant:
    """A checker that knows one gold answer, and of the answer "?" nothing."""

    async def check(self, gold: str, answer: str, *, exact: bool) -> Verdict:
        if answer == "?":
            return Verdict.UNDECIDED
        return Verdict.RIGHT if (gold, answer, exact) == ("7", "seven", True) else Verdict.WRONG


def test_a_judge_says_what_the_answer_check_says_and_nothing_where_it_says_nothing() -> None:
    """The sign of every reward comes from here."""
    is_right = judge(cast(Checker, Pedant()), {"answer": "7", "option": None, "is_exact": True})

    async def judged(answer: str) -> bool:
        return await is_right(answer)

    assert [asyncio.run(judged(answer)) for answer in ("seven", "7")] == [True, False]
    with pytest.raises(Undecided, match="whether '\\?' equals '7'"):
        asyncio.run(judged("?"))


class Texts:
    """Compares texts, and nothing else."""

    async def check(self, gold: str, answer: str, *, exact: bool) -> Verdict:
        assert exact
        return Verdict.RIGHT if gold == answer else Verdict.WRONG


@pytest.mark.parametrize(
    ("option", "answer", "is_right"),
    [
        ("in May", "B", True),
        ("in May", "in May", True),
        ("in May", "A", False),
        ("in May", "in June", False),
        ("in May", "B. in May", True),  # as the question shows it
        ("in May", "(B) in May", True),
        ("in May", "A. in May", False),
        ("in May", "B. in June", False),
        (None, "in May", False),
    ],
)
def test_an_option_is_named_by_its_letter_or_by_its_words(option: str | None, answer: str, is_right: bool) -> None:
    question = {"answer": "B", "option": option, "is_exact": True}
    verdict = asyncio.run(verdict_on(answer, question, cast(Checker, Texts())))
    assert verdict is (Verdict.RIGHT if is_right else Verdict.WRONG)


class Used(Asked):
    """An engine that is at work: by its clock a token a look."""

    waiting = 3

    def __init__(self) -> None:
        super().__init__()
        self.usage = Usage()
        self.addresses: list[str] = []

    @property
    def load(self) -> Load:
        self.usage.generated_tokens += 1
        return Load(seconds=1.0, busy_seconds=0.5, sequence_seconds=2.0)


def test_what_an_engine_was_used_is_kept_from_the_first_moment_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.running.served.SAMPLE_SECONDS", 0.005)
    timeline, engine = Timeline(), Used()

    async def work() -> None:
        async with recorded(cast(Engine, engine), timeline, "engine"):
            await asyncio.sleep(0.05)
            engine.usage.generated_tokens = 100
            raise RuntimeError("it failed")

    with pytest.raises(RuntimeError, match="it failed"):
        asyncio.run(work())
    points = timeline.series["engine"]
    assert points["generated_tokens"][0] == 0
    assert points["generated_tokens"][-1] == 100
    assert len(points["at"]) > 3
    assert (points["waiting"][-1], points["sequence_seconds"][-1]) == (3, 2.0)


THEIRS, BESIDE = ["http://127.0.0.1:1"], ["http://127.0.0.1:2", "http://127.0.0.1:3"]


@pytest.mark.parametrize(
    ("policy", "value", "held"), [([], [], 1), (THEIRS, BESIDE, 3), ([], BESIDE, 3), (THEIRS, [], 2)]
)
def test_a_stage_holds_its_own_gpus_once_and_all_those_of_others(
    policy: list[str], value: list[str], held: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two engines of the factory's own share its one GPU."""
    ours = Environment(home=tmp_path, engine_urls=policy, value_engine_urls=value)

    @asynccontextmanager
    async def serving(folder: Path, here: Environment, **_: Any) -> AsyncIterator[Any]:
        engine = Used()
        engine.addresses = here.engine_urls or ["http://127.0.0.1:9"]
        yield engine

    stand_ins = {
        "serving": serving,
        "environment": lambda: ours,
        "policy_and_value": lambda here: (here, here.model_copy(update={"engine_urls": value})),
        "device": lambda: "cuda",
        "Prompts": SimpleNamespace(read=lambda folder, format: prompts()),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(f"tasks.running.served.{name}", stand_in)
    workplace = SimpleNamespace(
        store=SimpleNamespace(folder=lambda ref, name: tmp_path), log=SimpleNamespace(info=print), timeline=Timeline()
    )
    workplace.gpus = 0

    async def stage() -> None:
        async with serve_both(cast(Any, workplace), cast(Any, "policy"), cast(Any, "value"), PLANS):
            pass

    asyncio.run(stage())
    assert workplace.gpus == held


def test_where_no_program_is_asked_for_a_machine_without_sandboxes_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NoSandbox("no namespaces")

    monkeypatch.setattr("tasks.running.served.Sandbox", refuse)
    assert sandbox_for([None, None]) is None
    with pytest.raises(NoSandbox):
        sandbox_for([None, "assert twice(1) == 2"])

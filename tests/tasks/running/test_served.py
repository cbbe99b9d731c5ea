"""What a served policy asks of the engine, and what of it is stored."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from infra.engine import Completion, Engine, EngineError, PromptTooLong, Reply, Usage
from tasks.check import Checker, Verdict
from tasks.language.few_shot import DEMONSTRATIONS
from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    REFLECTION_CLOSE,
    SOLUTION_CLOSE,
    SOLUTIONS,
    STEP_CLOSE,
    Format,
)
from tasks.running.served import SearchPolicy, ServedPolicy, judge
from tasks.search.method import Draw, Hint
from tasks.search.policy import ContextFull, PolicyError, Undecided
from tasks.settings import Search


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


def policy(engine: Asked, *, has_bos: bool, knows_format: bool, format: Format = PLANS) -> ServedPolicy:
    """One token a byte; the beginning of a sequence is token 0."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(["<s>", *letters])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if has_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return ServedPolicy(cast(Engine, engine), tokenizer, format, knows_format=knows_format)


async def asked(served: ServedPolicy, prompt_ids: list[int]) -> None:
    about: dict[str, Any] = {"stop": (), "max_tokens": 9, "temperature": 0.0, "session": "", "priority": 0}
    await served.write(prompt_ids, **about)


@pytest.mark.parametrize("has_bos", [True, False])
def test_what_is_stored_begins_as_what_the_engine_is_asked(has_bos: bool) -> None:
    """A model that was pre-trained with BOS is searched, trained and evaluated with it."""
    engine = Asked()
    served = policy(engine, has_bos=has_bos, knows_format=True)
    prompt_ids = served.question("Q?")
    assert (prompt_ids[0] == 0) is has_bos
    assert prompt_ids.count(0) == has_bos
    asyncio.run(asked(served, prompt_ids))
    assert engine.prompts == [prompt_ids]


def test_worked_examples_stand_between_the_start_and_the_question() -> None:
    served = policy(Asked(), has_bos=True, knows_format=False)
    prompt_ids = served.question("Q?")
    for reflecting in (False, True):
        sent = served.asked(prompt_ids, reflecting=reflecting)
        assert sent[0] == 0
        assert sent.count(0) == 1
        assert sent[-len(prompt_ids) + 1 :] == prompt_ids[1:]
        assert len(sent) > len(prompt_ids) + 100


@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
def test_a_policy_is_asked_and_shown_examples_in_one_format(format: Format) -> None:
    served = policy(Asked(), has_bos=False, knows_format=False, format=format)
    assert served.asked(served.question("Q?")) == served.encode(DEMONSTRATIONS[format] + format.prompt("Q?"))


def test_a_state_that_fills_the_context_is_told_apart() -> None:
    served = policy(Asked(), has_bos=True, knows_format=True)
    with pytest.raises(ContextFull, match="too many tokens"):
        asyncio.run(asked(served, served.question("Q" * 60)))


def searching(value: Asked | None) -> SearchPolicy:
    """Of a policy that needs worked examples, and a value model that needs none."""
    judging = policy(value, has_bos=True, knows_format=True) if value else None
    return SearchPolicy(policy(Endless(), has_bos=True, knows_format=False), Search(), judging)


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
    given = policy(Asked(), has_bos=True, knows_format=True).encode(begun)
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
    searcher = SearchPolicy(policy(engine, has_bos=True, knows_format=True), settings)
    for draw in (Draw(3), Draw(1, to_the_end=True)):
        asyncio.run(searcher.sample([0, 7], draw, session="q", priority=5))
    step, rest = engine.options
    same = {"temperature": 0.9, "session": "q", "priority": 5, "shared": 1}
    assert step == same | {"n": 3, "stop": (STEP_CLOSE, SOLUTION_CLOSE), "max_tokens": 50}
    assert rest == same | {"n": 1, "stop": (SOLUTION_CLOSE,), "max_tokens": 200}


def test_a_reflection_and_the_plan_under_it_follow_a_worked_example_of_their_own() -> None:
    """One ends where its tag does, and is told on to where the plan begins; the other where a step or the plan does."""
    engine, judging = Endless(), Judging()
    served = policy(engine, has_bos=True, knows_format=False)
    searcher = SearchPolicy(served, Search(), policy(judging, has_bos=True, knows_format=True))
    reflect, step = Draw(1, start="Wrong.", reflects=True), Draw(1, hint=Hint("It was miscounted.", (0, 9)))
    (reflection,) = asyncio.run(searcher.sample([0, 7], reflect, session="q", priority=0)).samples
    (hinted,) = asyncio.run(searcher.sample([0, 7], step, session="q", priority=0)).samples
    wrong = served.encode("Wrong.")
    assert engine.prompts == [[*served.reflection_prefix, 7, *wrong], [*served.reflection_prefix, 7]]
    assert [one["stop"] for one in engine.options] == [(REFLECTION_CLOSE,), (STEP_CLOSE, PLAN_CLOSE)]
    assert {one["shared"] for one in engine.options} == {len(served.reflection_prefix)} != {len(served.prefix)}
    assert (reflection.text, reflection.token_ids) == ("Wrong.!!", (*wrong, 33, 34, *served.encode(PLAN_OPEN)))
    assert (hinted.text, hinted.token_ids, reflection.sampled) == ("!!", (33, 34), 2)
    assert judging.prompts == [], "nobody needs their V"


def test_what_was_given_is_part_of_the_step_and_not_of_its_probability() -> None:
    served = policy(Endless(), has_bos=True, knows_format=True)
    reply = asyncio.run(SearchPolicy(served, Search()).sample([0, 7], Draw(1, start="Plan"), session="q", priority=0))
    (sample,) = reply.samples
    assert sample.text == "Plan!!"
    assert sample.token_ids == (*served.encode("Plan"), 33, 34)
    assert (sample.logprob, sample.sampled) == (-2.0, 2)


class Pedant:
    """A checker that knows one gold answer, and of the answer "?" nothing."""

    async def check(self, gold: str, answer: str, *, exact: bool) -> Verdict:
        if answer == "?":
            return Verdict.UNDECIDED
        return Verdict.RIGHT if (gold, answer, exact) == ("7", "seven", True) else Verdict.WRONG


def test_a_judge_says_what_the_answer_check_says_and_nothing_where_it_says_nothing() -> None:
    """The sign of every reward comes from here."""
    is_right = judge(cast(Checker, Pedant()), {"answer": "7", "is_exact": True})

    async def judged(answer: str) -> bool:
        return await is_right(answer)

    assert [asyncio.run(judged(answer)) for answer in ("seven", "7")] == [True, False]
    with pytest.raises(Undecided, match="whether '\\?' equals '7'"):
        asyncio.run(judged("?"))

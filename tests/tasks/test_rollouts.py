"""LEPA's loop with a scripted policy: attempts, reflections while nothing is right, and what ends them."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, cast

import polars as pl
import pytest

from tasks.check import Checker, Verdict
from tasks.format import STEP_CLOSE
from tasks.parts import Part
from tasks.policy import ServedPolicy, Written
from tasks.records import frame
from tasks.rollouts import attempts, rolled_out
from tasks.search.grow import ContextFull, PolicyError
from tasks.settings import Rollouts
from tests.tasks.scripted import step_text

QUESTION = {"question_id": "q", "question": "How many?", "answer": "7", "is_exact": False}
SETTINGS = Rollouts(samples=2, trials=4)


class Scripted:
    """Writes one letter a token; its plans and solutions are said in turn, and every reflection is the same.

    `plan`: the words of its one step, or a whole plan. `ends`: what its solutions end with.
    """

    def __init__(
        self, *solutions: str, plan: str = "Count.", ends: str = "</solution>", at_reflection: Exception | None = None
    ) -> None:
        self.solutions = list(solutions)
        self.plan = plan if STEP_CLOSE in plan else step_text(1, plan) + "</plan>\n"
        self.ends = ends
        self.at_reflection = at_reflection
        self.asked: list[str] = []
        self.told: list[dict[str, Any]] = []

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def question(self, question: str) -> list[int]:
        return self.encode(question)

    def ends_of(self, mark: str, token_ids: Sequence[int]) -> list[int]:
        return [match.end() - 1 for match in re.finditer(mark, "".join(map(chr, token_ids)))]

    async def write(self, prompt_ids: Sequence[int], *, stop: Sequence[str], **about: Any) -> Written:
        self.asked.append("".join(map(chr, prompt_ids)))
        self.told.append({"stop": stop, **about})
        if about.get("reflecting") and self.at_reflection:
            raise self.at_reflection
        said = {"</plan>\n": self.plan, "</reflection>\n": "It was miscounted.\n</reflection>\n"}
        text = said.get(stop[0]) or f"<solution>\n\\boxed{{{self.solutions.pop(0)}}}\n{self.ends}"
        return Written(text, self.encode(text), len(prompt_ids))


class Exact:
    """Of the answer "?" nobody knows."""

    async def check(self, gold: str, answer: str, *, exact: bool = False) -> Verdict:
        if answer == "?":
            return Verdict.UNDECIDED
        return Verdict.RIGHT if gold == answer else Verdict.WRONG


def part_of(
    policy: Scripted,
    settings: Rollouts = SETTINGS,
    question: dict[str, Any] = QUESTION,
    place: int = 0,
    checker: Exact | None = None,
) -> Part:
    judging = cast(Checker, checker or Exact())
    return asyncio.run(attempts(question, place, cast(ServedPolicy, policy), judging, settings))


def tried(policy: Scripted, settings: Rollouts = SETTINGS, **about: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in part_of(policy, settings, **about).rows["rollouts"]]


def test_an_attempt_is_a_row_of_what_was_written_and_what_it_cost() -> None:
    [row] = frame("rollouts", tried(Scripted("7"), Rollouts(samples=1, trials=1))).to_dicts()
    plan, solution = step_text(1, "Count.") + "</plan>\n", "<solution>\n\\boxed{7}\n</solution>"
    assert 0 <= row.pop("seconds") < 60
    assert row == {
        "rollout_id": "q/0.0",
        "question_id": "q",
        "sample": 0,
        "trial": 0,
        "plan": plan,
        "plan_ids": [ord(letter) for letter in plan],
        "step_ends": [len(step_text(1, "Count.")) - 1],
        "solution": solution,
        "solution_ids": [ord(letter) for letter in solution],
        "answer": "7",
        "is_correct": True,
        "is_leaked": False,
        "reflection": None,
        "prompt_tokens": len("How many?") + len("How many?" + plan),
        "generated_tokens": len(plan + solution),
        "error": None,
    }


def test_every_request_has_its_limit_and_its_questions_turn_and_reflections_their_own_examples() -> None:
    settings = Rollouts(samples=1, trials=2, temperature=0.75, max_plan_tokens=50, max_solution_tokens=90)
    policy = Scripted("5", "7")
    assert [(one["sample"], one["trial"]) for one in tried(policy, settings, place=3)] == [(0, 0), (0, 1)]
    limits = [
        ("</plan>\n", 50, False),
        ("</solution>", 90, False),
        ("</reflection>\n", 50, True),
        ("</plan>\n", 50, True),
        ("</solution>", 90, False),
    ]
    assert policy.told == [
        {
            "stop": (stop,),
            "max_tokens": most,
            "temperature": 0.75,
            "session": "q",
            "priority": 3,
            "reflecting": reflecting,
        }
        for stop, most, reflecting in limits
    ]


def test_a_right_first_attempt_asks_for_no_reflection() -> None:
    made = tried(Scripted("6", "7"))
    assert [(one["sample"], one["trial"], one["is_correct"]) for one in made] == [(0, 0, False), (1, 0, True)]


def test_it_reflects_on_the_last_failure_until_one_is_right() -> None:
    policy = Scripted("5", "6", "4", "7")
    made = tried(policy)
    assert [(one["trial"], one["answer"]) for one in made] == [(0, "5"), (0, "6"), (1, "4"), (2, "7")]
    reflections = [asked for asked in policy.asked if asked.endswith("<reflection>\n")]
    assert ["{5}" in asked for asked in reflections] == [True, False]
    assert ["{4}" in asked for asked in reflections] == [False, True]
    assert all("correct final answer is 7" in asked for asked in reflections)
    solving = [asked for asked in policy.asked if asked.endswith("</plan>\n")]
    assert not any("miscounted" in asked or "is 7" in asked for asked in solving)


def test_at_most_so_many_trials() -> None:
    made = tried(Scripted(*"123456789"))
    assert [one["trial"] for one in made] == [0, 0, 1, 2, 3]


def test_a_new_plan_that_tells_the_answer_is_not_followed() -> None:
    """It leaves no failed solution to reflect on: the next trial begins anew."""
    made = tried(Scripted("5", "6", "4", plan="The answer must be 7."))
    assert [one["is_leaked"] for one in made] == [False, False, True, False, True]
    assert [one["answer"] for one in made] == ["5", "6", None, "4", None]


def test_no_room_to_reflect_keeps_the_attempts() -> None:
    made = tried(Scripted("5", "6", at_reflection=ContextFull("too long")))
    assert [(one["answer"], one["error"]) for one in made] == [("5", None), ("6", None)]


def test_a_policy_that_fails_gives_a_row_that_counts_in_no_pass_rate() -> None:
    part = part_of(Scripted("5", "6", at_reflection=PolicyError("the engine is gone")))
    [lost] = frame("rollouts", part.rows["rollouts"]).to_dicts()
    assert part.error == "the engine is gone"
    assert {name: told for name, told in lost.items() if told is not None} == {
        "rollout_id": "q/failed",
        "question_id": "q",
        "error": "the engine is gone",
    }


def test_an_answer_that_can_not_be_decided_is_neither_right_nor_wrong() -> None:
    """The other attempts live, and nobody is told that it was wrong."""
    policy = Scripted("?", "6", "7")
    made = tried(policy)
    assert [(one["trial"], one["is_correct"]) for one in made] == [(0, None), (0, False), (1, True)]
    assert not any("verdict" in asked for asked in policy.asked)
    assert [one["reflection"] for one in made] == [None, None, None]
    assert all(one["error"] is None for one in made)


@pytest.mark.parametrize(
    ("plan", "well_formed"),
    [
        (step_text(1, "count the <solution> first"), 0),
        (step_text(1, "count") + step_text(2, "use Plan 3") + step_text(3, "add"), 1),
        ("".join(step_text(number, "count") for number in range(1, 10)), 5),
        (step_text(1, "count") + step_text(3, "add"), 1),
    ],
)
def test_a_plan_that_the_search_would_not_take_gets_no_solution(plan: str, well_formed: int) -> None:
    policy = Scripted(*"7777777", plan=plan + "</plan>\n")
    made = tried(policy, Rollouts(samples=2, trials=1))
    assert [(one["solution"], one["is_correct"]) for one in made] == [(None, False)] * 2
    assert len(made[0]["step_ends"]) == well_formed


def test_as_deep_as_it_is_allowed_to_be() -> None:
    plan = step_text(1, "count") + step_text(2, "add") + "</plan>\n"
    for max_depth, is_correct in ((3, True), (2, False)):
        (one,) = tried(Scripted("7", plan=plan), Rollouts(samples=1, trials=1, max_depth=max_depth))
        assert one["is_correct"] is is_correct


def test_a_solution_that_does_not_end_has_no_answer() -> None:
    """Its box may be one of an intermediate result."""
    made = tried(Scripted("7", "7", ends=""), Rollouts(samples=2, trials=1))
    assert [(one["answer"], one["is_correct"]) for one in made] == [(None, False), (None, False)]


def test_an_attempt_tells_where_its_steps_end() -> None:
    plan = step_text(1, "count") + step_text(2, "add")
    made = tried(Scripted("7", plan=plan + "</plan>\n"), Rollouts(samples=1, trials=1))
    ends = [len(step_text(1, "count")) - 1, len(plan) - 1]
    assert [one["step_ends"] for one in made] == [ends]


@pytest.mark.parametrize("said", ["It is 7.0.", "It is seven.", "It is $7.00."])
def test_the_answer_is_recognised_in_another_notation(said: str) -> None:
    assert [one["is_leaked"] for one in tried(Scripted("5", "6", "4", plan=said))] == [False, False, True, False, True]


def test_a_formula_is_recognised_as_the_answer_by_the_answer_check() -> None:
    class Algebra(Exact):
        async def check(self, gold: str, answer: str, *, exact: bool = False) -> Verdict:
            return Verdict.RIGHT if sorted(gold) == sorted(answer) else Verdict.WRONG

    made = tried(Scripted("5", "6", "4", plan="It is $1+x$."), question=QUESTION | {"answer": "x+1"}, checker=Algebra())
    assert [one["is_leaked"] for one in made] == [False, False, True, False, True]


def test_held_out_questions_are_not_rolled_out() -> None:
    rows = [{"question_id": name, "is_held_out": name == "b"} for name in "abc"]
    assert list(rolled_out(pl.DataFrame(rows))) == ["a", "c"]

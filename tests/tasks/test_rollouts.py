"""LEPA's loop with a scripted policy: attempts, reflections while nothing is right, and what ends them."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import polars as pl

from tasks.check import Checker, Verdict
from tasks.policy import ServedPolicy, Written
from tasks.rollouts import attempts, rolled_out
from tasks.search.grow import ContextFull, PolicyError
from tasks.settings import Rollouts

QUESTION = {"question_id": "q", "question": "How many?", "answer": "7", "source": "mine"}
SETTINGS = Rollouts(samples=2, trials=4)


class Scripted:
    """Writes one letter a token; its plans and solutions are said in turn, and every reflection is the same."""

    def __init__(self, *solutions: str, plan: str = "Count.", at_reflection: Exception | None = None) -> None:
        self.solutions = list(solutions)
        self.plan = plan
        self.at_reflection = at_reflection
        self.asked: list[str] = []

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def question(self, question: str) -> list[int]:
        return self.encode(question)

    async def write(self, prompt_ids: Sequence[int], *, stop: Sequence[str], **about: Any) -> Written:
        self.asked.append("".join(map(chr, prompt_ids)))
        if about.get("reflecting") and self.at_reflection:
            raise self.at_reflection
        said = {
            "</plan>\n": f"<step>\nPlan 1: {self.plan}\n</step>\n</plan>\n",
            "</reflection>\n": "It was miscounted.\n</reflection>\n",
        }
        text = said.get(stop[0]) or f"<solution>\n\\boxed{{{self.solutions.pop(0)}}}\n</solution>"
        return Written(text, self.encode(text), len(prompt_ids))


class Exact:
    async def check(self, gold: str, answer: str, *, exact: bool) -> Verdict:
        return Verdict.RIGHT if gold == answer else Verdict.WRONG


def tried(policy: Scripted) -> list[dict[str, Any]]:
    part = asyncio.run(attempts(QUESTION, 0, cast(ServedPolicy, policy), cast(Checker, Exact()), SETTINGS))
    return [dict(row) for row in part.rows["rollouts"]]


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
    (lost,) = tried(Scripted("5", "6", at_reflection=PolicyError("the engine is gone")))
    assert (lost["error"], lost["is_correct"]) == ("the engine is gone", None)


def test_held_out_questions_are_not_rolled_out() -> None:
    rows = [{"question_id": name, "is_held_out": name == "b"} for name in "abc"]
    assert list(rolled_out(pl.DataFrame(rows))) == ["a", "c"]

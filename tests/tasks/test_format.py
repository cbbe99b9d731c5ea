"""The text format, read back."""

import pytest

from tasks.few_shot import DEMONSTRATIONS, REFLECTION_DEMONSTRATION
from tasks.format import Kind, leaks_answer, parse_action, question_prompt, split_plan
from tests.tasks.scripted import solution_text, step_text


def test_a_question_opens_its_plan() -> None:
    assert question_prompt("How many? ") == "<question>\nHow many?\n</question>\n<plan>\n"


@pytest.mark.parametrize(
    ("text", "position", "kind"),
    [
        (step_text(1, "count the apples"), 0, Kind.PLAN),
        (step_text(2, "halve the result of Plan 1"), 1, Kind.PLAN),
        (step_text(2, "two lines\nof one step"), 1, Kind.PLAN),
        (step_text(3, "skips a number"), 1, Kind.MALFORMED),
        (step_text(1, "look at Plan 2"), 0, Kind.MALFORMED),
        (step_text(1, "never </step> closed"), 0, Kind.MALFORMED),
        (step_text(1, "then <solution> at once"), 0, Kind.MALFORMED),
        (step_text(1, "Find the integers with $-3 < x < 5$."), 0, Kind.PLAN),
        ("<step>\nPlan 1: \n</step>\n", 0, Kind.MALFORMED),
        ("<step>\nPlan 1: no end", 0, Kind.MALFORMED),
        ("some prose", 0, Kind.MALFORMED),
        (solution_text("4"), 3, Kind.SOLUTION),
        (solution_text(""), 3, Kind.MALFORMED),
        ("</plan>\n<solution>\nno box\n</solution>", 3, Kind.MALFORMED),
        ("</plan>\n<solution>\nThe final answer is \\boxed{4}.", 3, Kind.MALFORMED),
    ],
)
def test_actions(text: str, position: int, kind: Kind) -> None:
    assert parse_action(text, position).kind is kind


def test_the_answer_is_the_last_box_with_its_braces() -> None:
    text = solution_text("1").replace("so\n", "\\boxed{9}\n").replace("\\boxed{1}", "\\boxed{\\frac{1}{2}}")
    assert parse_action(text, 1).answer == "\\frac{1}{2}"


def test_a_plan_splits_into_its_steps() -> None:
    assert split_plan(step_text(1, "a") + step_text(2, "b") + "</plan>\n") == ["a", "b"]
    assert split_plan(step_text(1, "a") + step_text(3, "b") + "</plan>\n") is None
    assert split_plan(step_text(1, "a")) is None
    assert split_plan("</plan>\n") is None


@pytest.mark.parametrize(
    ("plan", "leaks"),
    [
        ("Plan 1: add 3 and 5 to get 8", True),
        ("Plan 8: add 3 and 5", False),
        ("Plan 1: use the 18 apples", False),
        ("Plan 1: it is 8.5", False),
        ("Plan 1: it is 8.", True),
    ],
)
def test_a_plan_must_not_state_the_answer(plan: str, leaks: bool) -> None:
    assert leaks_answer(plan, "Tom has 3 apples and buys 5.", "8") is leaks


@pytest.mark.parametrize(
    ("plan", "leaks"),
    [
        (r"Plan 1: it is 60\%", True),
        ("Plan 1: 60% are blue", True),
        ("Plan 1: it is 60 percent", True),
        ("Plan 1: take 160%", False),
        ("Plan 1: divide 15 by all 25", False),
    ],
)
def test_a_percentage_is_stated_with_and_without_its_sign(plan: str, leaks: bool) -> None:
    question = "15 of her 25 spools are blue. What percent of her spools are blue?"
    assert leaks_answer(plan, question, r"60\%") is leaks
    assert not leaks_answer(plan, f"{question} Not 60%?", r"60\%")


def test_an_answer_that_the_question_names_is_no_leak() -> None:
    assert not leaks_answer("Plan 1: keep the 5", "Tom has 3 apples and 5 pears. How many pears?", "5")


def test_the_demonstrations_are_in_the_format_they_teach() -> None:
    question, rest = DEMONSTRATIONS.split("<plan>\n", 1)
    assert (
        question_prompt(question.removeprefix("<question>\n").removesuffix("\n</question>\n")) == question + "<plan>\n"
    )
    steps, rest = rest.split("</plan>\n", 1)
    assert split_plan(steps + "</plan>\n")
    assert parse_action("</plan>\n" + rest.split("</solution>")[0] + "</solution>", 3).answer == "15"
    assert split_plan(REFLECTION_DEMONSTRATION.split("<plan>\n")[-1])

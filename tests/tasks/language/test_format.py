"""The text format, read back."""

import pytest

from tasks.language.few_shot import DEMONSTRATIONS, REFLECTION_DEMONSTRATION
from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    REFLECTION_CLOSE,
    Action,
    Kind,
    parse_action,
    parse_ending,
    question_prompt,
    verdict,
)
from tests.tasks.search.scripted import solution_text, step_text


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


STEPS = [step_text(number, "count") for number in range(1, 7)]


@pytest.mark.parametrize(
    "plan", ["".join(STEPS[:2]), "".join(STEPS[:5]), STEPS[0] + step_text(2, "halve the result of Plan 1")]
)
def test_a_plan_is_made_of_the_steps_that_the_search_would_take(plan: str) -> None:
    assert parse_ending(plan + solution_text("4"), 0, 6) == Action(Kind.SOLUTION, "4")


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (STEPS[0] + step_text(3, "skips a number"), Kind.MALFORMED),
        (STEPS[0] + step_text(2, "then <solution> at once"), Kind.MALFORMED),
        (step_text(1, "look at Plan 2") + STEPS[1], Kind.MALFORMED),
        ("".join(STEPS), Kind.TOO_DEEP),  # no room for the solution
        (STEPS[0] + "\n", Kind.MALFORMED),
        ("Well, " + STEPS[0], Kind.MALFORMED),
    ],
)
def test_what_the_search_would_call_malformed_or_too_deep_is_no_plan(plan: str, kind: Kind) -> None:
    assert parse_ending(plan + solution_text("4"), 0, 6).kind is kind


def test_the_demonstrations_are_in_the_format_they_teach() -> None:
    question, rest = DEMONSTRATIONS.split("<plan>\n", 1)
    assert (
        question_prompt(question.removeprefix("<question>\n").removesuffix("\n</question>\n")) == question + "<plan>\n"
    )
    assert parse_ending(rest.split("</solution>")[0] + "</solution>", 0, 6) == Action(Kind.SOLUTION, "15")


def test_the_reflections_demonstration_speaks_as_a_hint_does() -> None:
    """A failed attempt, its verdict and a reflection on it; then the new plan, in the format."""
    failed, rest = REFLECTION_DEMONSTRATION.split(verdict("15"))
    assert parse_ending(failed.split(PLAN_OPEN)[1], 0, 6) == Action(Kind.SOLUTION, "6")
    assert rest.count(REFLECTION_CLOSE + PLAN_OPEN) == 1
    plan = rest.split(REFLECTION_CLOSE + PLAN_OPEN)[1].removesuffix(PLAN_CLOSE)
    assert parse_ending(plan + solution_text("15"), 0, 6) == Action(Kind.SOLUTION, "15")

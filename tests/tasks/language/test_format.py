"""The text format, read back."""

import pytest

from tasks.language.few_shot import DEMONSTRATIONS, REFLECTION_DEMONSTRATION
from tasks.language.format import Kind, is_plan, parse_action, parse_ending, plan_steps, question_prompt
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
    ("plan", "steps"),
    [
        ("".join(STEPS[:2]) + "</plan>\n", 2),
        ("".join(STEPS[:5]) + "</plan>\n", 5),
        (STEPS[0] + step_text(2, "halve the result of Plan 1") + "</plan>\n", 2),
    ],
)
def test_a_plan_is_made_of_the_steps_that_the_search_would_take(plan: str, steps: int) -> None:
    assert is_plan(plan, max_depth=6)
    assert len(plan_steps(plan, max_depth=6)) == steps
    assert parse_ending(plan.removesuffix("</plan>\n") + solution_text("4"), 0, 6).kind is Kind.SOLUTION


@pytest.mark.parametrize(
    ("plan", "begins_with"),
    [
        (STEPS[0] + step_text(3, "skips a number") + "</plan>\n", 1),
        (STEPS[0] + step_text(2, "then <solution> at once") + "</plan>\n", 1),
        (step_text(1, "look at Plan 2") + STEPS[1] + "</plan>\n", 0),
        ("".join(STEPS) + "</plan>\n", 5),  # too deep: no room for the solution
        (STEPS[0], 1),
        (STEPS[0] + "\n</plan>\n", 1),
        ("Well, " + STEPS[0] + "</plan>\n", 0),
        ("</plan>\n", 0),
        ("", 0),
    ],
)
def test_what_the_search_would_call_malformed_or_too_deep_is_no_plan(plan: str, begins_with: int) -> None:
    assert not is_plan(plan, max_depth=6)
    assert plan_steps(plan, max_depth=6) == STEPS[:begins_with]


def test_the_demonstrations_are_in_the_format_they_teach() -> None:
    question, rest = DEMONSTRATIONS.split("<plan>\n", 1)
    assert (
        question_prompt(question.removeprefix("<question>\n").removesuffix("\n</question>\n")) == question + "<plan>\n"
    )
    steps, rest = rest.split("</plan>\n", 1)
    assert is_plan(steps + "</plan>\n", max_depth=6)
    assert parse_action("</plan>\n" + rest.split("</solution>")[0] + "</solution>", 3).answer == "15"
    assert is_plan(REFLECTION_DEMONSTRATION.split("<plan>\n")[-1], max_depth=6)

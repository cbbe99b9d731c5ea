"""A plan must not state the answer, in whatever notation."""

import asyncio
from collections.abc import Iterator

import pytest

from tasks.check import Checker
from tasks.language.leak import leaks_answer, leaks_program, stated_values

QUESTION = "Tom has 3 apples and buys 5."


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker() as checker:
        yield checker


def leaks(plan: str, gold: str, checker: Checker, question: str = QUESTION) -> bool:
    return asyncio.run(leaks_answer(plan, question, gold, checker))


@pytest.mark.parametrize(
    ("gold", "plan"),
    [
        ("8", "Plan 1: add 3 and 5 to get 8"),
        ("8", "Plan 1: it is 8."),
        ("8", "Plan 1: 3 + 5 = 8, so write that"),
        ("1000", "Plan 1: you get 1,000 of them"),
        ("1000", "Plan 1: you get $1{,}000$"),
        ("1000", "Plan 1: you get 1 000"),
        (r"\frac{3}{4}", "Plan 1: it must be 3/4"),
        (r"\frac{3}{4}", "Plan 1: it must be 0.75"),
        (r"\frac{3}{4}", "Plan 1: three quarters are left"),
        (r"\frac{3}{4}", r"Plan 1: so $\dfrac34$ are left"),
        (r"2\frac{1}{2}", "Plan 1: after 2 1/2 hours"),
        ("72", "Plan 1: it is 72.0"),
        ("72", "Plan 1: it is seventy-two."),
        ("105", "Plan 1: one hundred and five are left"),
        ("2", "Plan 1: the two of them"),
        ("-5", "Plan 1: minus five degrees"),
        ("-5", "Plan 1: −5 degrees"),
        ("x=9", "Plan 1: the result is 9"),
        ("2.5", "Plan 1: each costs $2.50"),
        (r"60\%", r"Plan 1: it is 60\%"),
        (r"60\%", "Plan 1: 60% are blue"),
        (r"60\%", "Plan 1: it is 60 percent"),
        (r"9 \text{ cm}", "Plan 1: it is 9 cm long"),
        (r"\$18", "Plan 1: earn 18 dollars"),
        ("(4,6)", "Plan 1: walk to the point (4, 6)"),
        ("[2,4)", "Plan 1: the interval [2, 4)"),
        ("1,2", "Plan 1: x is 1 or 2"),
        (r"\sqrt{2}", "Plan 1: the side is √2"),
        (r"\frac{\pi}{4}", "Plan 1: the angle is pi/4"),
        ("x^2+1", "Plan 1: f(x) = x^2 + 1"),
        ("x^2+1", "Plan 1: 2y = x^2 + 1"),
        ("X^2+1", "Plan 1: 2Y = X^2 + 1"),
        ("x+1", "Plan 1: it is $x$+$1$"),
        (r"\sqrt{2}", "Plan 1: it is √2!"),
        (r"\frac12", "Plan 1: Half of it"),
        (r"\frac12", "Plan 1: it is half of them"),
        (r"-\frac12", "Plan 1: x is minus half"),
        (r"\frac13", "Plan 1: take one third"),
        (r"\frac13", "Plan 1: take A third"),
        (r"\frac18", "Plan 1: keep an eighth"),
        (r"\frac23", "Plan 1: paint 2 Thirds"),
        ("X", "Plan 1: choose X"),
        ("Wednesday", "Plan 1: it is on a wednesday"),
        ("(B)", "Plan 1: choose B"),
    ],
)
def test_the_answer_is_found_however_it_is_written(gold: str, plan: str, checker: Checker) -> None:
    assert leaks(plan, gold, checker)


@pytest.mark.parametrize(
    ("gold", "plan"),
    [
        ("8", "Plan 8: add 3 and 5"),
        ("8", "Plan 1: use what Plan 8 and Step 8 say"),
        ("8", "Plan 1: use the 18 apples"),
        ("8", "Plan 1: it is 8.5"),
        ("8", "Plan 1: find 2^3"),  # the working out is left to the solution
        ("12", "Plan 1: use the 1,200"),
        ("1", "Plan 1: take one of them"),
        ("5", "Plan 1: keep the 5 pears"),  # the question names it
        ("5", "Plan 1: keep the five pears"),
        (r"5 \text{ cm}", "Plan 1: it is 5 cm"),
        (r"60\%", "Plan 1: take 160%"),
        ("B", "Plan 1: buy a bag"),
        ("A", "Plan 1: buy a bag"),
        ("3", "Plan 1: use the third apple"),
    ],
)
def test_other_numbers_are_no_leak(gold: str, plan: str, checker: Checker) -> None:
    assert not leaks(plan, gold, checker)


def test_what_the_question_names_in_another_notation_is_no_leak(checker: Checker) -> None:
    assert not leaks("Plan 1: it is 60%", r"60\%", checker, "Are sixty percent blue?")
    assert leaks("Plan 1: it is 60%", r"60\%", checker, "Are 160% blue?")


@pytest.mark.parametrize(
    ("gold", "plan", "is_told"),
    [
        ("B", "Plan 1: choose B", True),
        ("B", "Plan 1: the answer is (B).", True),
        ("A", "Plan 1: take option A.", True),
        ("B", "Plan 1: think of when it snows", False),
        ("B", "Plan 1: take b from it", False),
        ("A", "Plan 1: A year has four seasons", False),
    ],
)
@pytest.mark.parametrize("options", ["A. in June\nB. in May", "Options:\n(A) in June\n(B) in May"])
def test_the_letter_of_an_option_is_told_by_a_plan_that_names_it(
    gold: str, plan: str, is_told: bool, options: str, checker: Checker
) -> None:
    """The question shows all of them; else no plan for a question with options could give its answer away."""
    assert leaks(plan, gold, checker, f"When?\n{options}") is is_told


def test_what_the_options_of_a_question_say_it_names(checker: Checker) -> None:
    assert not leaks("Plan 1: it is Wednesday", "Wednesday", checker, "When?\nA. Monday\nB. Wednesday")


def test_a_long_plan_is_read_in_no_time() -> None:
    assert list(stated_values("((" * 2_000 + "1 " * 4_000 + "$" * 2_000))


@pytest.mark.parametrize(
    ("plan", "is_leaked"),
    [
        ("Plan 1: for each, total += n * n", True),
        ("Plan 1: go through them: for n in numbers", False),
        ("Plan 1: total+=n*n", False),
        ("Plan 1: return total", False),
        ("Plan 1: write def squares(numbers) and add up, else nothing.", False),
        ("Plan 1: (a sum)", False),
        ("Plan 1: import helpers.sums", False),
        ("Plan 1: begin with largest = 0, ", False),
        ("Plan 1: smallest = 100", True),
        ("Plan 1: largest = 0, return 2*n", True),
        ("Plan 1: while abs(total) > 9, take some off", True),
        ("Plan 1: while abs(total) > 90, take some off", False),
    ],
)
def test_a_plan_must_not_hold_a_line_of_the_shown_program(plan: str, is_leaked: bool) -> None:
    """What the question shows it may say, and words alone, headings, imports and lines below 12 characters."""
    program = "import helpers.sums\nlargest = 0\nsmallest = 100\ndef twice(n):\n    return 2*n\n"
    program += "def squares(numbers):\n    total = (\n        0\n    )\n    for n in numbers:\n        total += n * n\n"
    program += "    else:\n        while abs(total) > 9:\n            total -= 1\n        return total\n"
    assert asyncio.run(leaks_program(plan, "Complete:\ndef squares(numbers):", program)) is is_leaked

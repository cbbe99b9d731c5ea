"""The text formats, read back."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tasks.language.few_shot import (
    DEMONSTRATIONS,
    OPTION_DEMONSTRATIONS,
    OPTION_REFLECTION_DEMONSTRATION,
    PROGRAM_DEMONSTRATIONS,
    PROGRAM_REFLECTION_DEMONSTRATION,
    REFLECTION_DEMONSTRATION,
)
from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    PROGRAM_ASKED,
    REFLECTION_CLOSE,
    SOLUTION_OPEN,
    SOLUTIONS,
    Action,
    Format,
    Kind,
    format_of,
    in_block,
    last_program,
    verdict,
)
from tests.tasks.search.scripted import solution_text, step_text


def test_a_question_opens_its_plan_or_its_solution() -> None:
    assert PLANS.prompt("How many? ") == "<question>\nHow many?\n</question>\n<plan>\n"
    assert SOLUTIONS.prompt("How many? ") == "<question>\nHow many?\n</question>\n<solution>\n"


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
        ("</plan>\n<solution>\nFor a < b, <step> 1 gives \\boxed{4}.\n</solution>", 3, Kind.SOLUTION),
        (solution_text(""), 3, Kind.MALFORMED),
        ("</plan>\n<solution>\nno box\n</solution>", 3, Kind.MALFORMED),
        ("</plan>\n<solution>\nThe final answer is \\boxed{4}.", 3, Kind.MALFORMED),
    ],
)
def test_actions(text: str, position: int, kind: Kind) -> None:
    assert PLANS.parse_action(text, position).kind is kind


ENDS = "The final answer is \\boxed{16}.\n</solution>"


@pytest.mark.parametrize(
    ("text", "position", "kind"),
    [
        ("<step>\nStep 1: 5 + 3 = 8\n</step>\n", 0, Kind.STEP),
        ("<step>\nStep 2: 8 * 2 of Step 1 = 16\n</step>\n", 1, Kind.STEP),
        ("<step>\nStep 1: the answer is \\boxed{16}\n</step>\n", 0, Kind.STEP),
        ("<step>\nStep 1: as in Step 1\n</step>\n", 0, Kind.MALFORMED),
        ("<step>\nStep 3: skips a number\n</step>\n", 1, Kind.MALFORMED),
        ("<step>\nPlan 1: add\n</step>\n", 0, Kind.MALFORMED),
        (ENDS, 2, Kind.SOLUTION),
        (ENDS, 0, Kind.SOLUTION),
        (f"5 + 3 = 8, 8 * 2 = 16\n{ENDS}", 0, Kind.SOLUTION),
        (f"<step>\nStep 1: never closed\n{ENDS}", 0, Kind.MALFORMED),
        (f"<step>\n{ENDS}", 0, Kind.MALFORMED),
        (f"</plan>\n<solution>\n{ENDS}", 0, Kind.MALFORMED),
        (ENDS + ENDS, 0, Kind.MALFORMED),
        (ENDS + "\n", 2, Kind.MALFORMED),
        ("The final answer is 16.\n</solution>", 2, Kind.MALFORMED),
        (ENDS.removesuffix("</solution>"), 2, Kind.MALFORMED),
        ("", 0, Kind.MALFORMED),
    ],
)
def test_actions_without_a_plan(text: str, position: int, kind: Kind) -> None:
    assert SOLUTIONS.parse_action(text, position) == Action(kind, "16" if kind is Kind.SOLUTION else None)


@pytest.mark.parametrize(("format", "other"), [(PLANS, SOLUTIONS), (SOLUTIONS, PLANS)])
def test_what_one_format_says_is_malformed_in_the_other(format: Format, other: Format) -> None:
    text = step_text(1, "add", format) + solution_text("4", format)
    assert format.parse_ending(text, 0, 6) == Action(Kind.SOLUTION, "4")
    assert other.parse_ending(text, 0, 6) == Action(Kind.MALFORMED)


def test_the_answer_is_the_last_box_with_its_braces() -> None:
    text = solution_text("1").replace("so\n", "\\boxed{9}\n").replace("\\boxed{1}", "\\boxed{\\frac{1}{2}}")
    assert PLANS.parse_action(text, 1).answer == "\\frac{1}{2}"


STEPS = [step_text(number, "count") for number in range(1, 7)]


@pytest.mark.parametrize(
    "plan", ["".join(STEPS[:2]), "".join(STEPS[:5]), STEPS[0] + step_text(2, "halve the result of Plan 1")]
)
def test_a_plan_is_made_of_the_steps_that_the_search_would_take(plan: str) -> None:
    assert PLANS.parse_ending(plan + solution_text("4"), 0, 6) == Action(Kind.SOLUTION, "4")


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
    assert PLANS.parse_ending(plan + solution_text("4"), 0, 6).kind is kind


@pytest.mark.parametrize(
    ("demonstrations", "told"),
    [
        (DEMONSTRATIONS, [("A bakery ", "15"), ("The line ", "\\frac{3}{4}")]),
        (OPTION_DEMONSTRATIONS, [("A bakery ", "B"), ("Which of ", "D")]),
    ],
)
def test_the_demonstrations_are_in_the_format_they_teach(
    demonstrations: Mapping[Format, str], told: list[tuple[str, str]]
) -> None:
    """The same questions in both; every one is answered in the steps that the search would take."""
    for format, text in demonstrations.items():
        shown = text.removesuffix("\n").split("</solution>\n")
        answers = []
        for one in shown:
            question, _, rest = one.removesuffix("</solution>").partition("\n</question>\n" + format.opening)
            question = question.removeprefix("<question>\n")
            assert f"{format.prompt(question)}{rest}</solution>" == one.removesuffix("</solution>") + "</solution>"
            answers.append((question[:9], format.parse_ending(f"{rest}</solution>", 0, 6).answer))
        assert answers == told
        assert ("plan" in text.lower()) == (format is PLANS)


def test_the_demonstrations_of_programs_end_in_blocks_that_run() -> None:
    for name, format in (("PLANS", PLANS), ("SOLUTIONS", SOLUTIONS)):
        first, second = PROGRAM_DEMONSTRATIONS[format].removesuffix("</solution>\n").split("</solution>\n")
        shown = ((first, "taken([2, 3, 4], [1])", 6), (second, "signed(3), signed(-3), signed(0)", ("+3", "-3", "0")))
        for one, call, answer in shown:
            question, _, rest = one.partition("\n</question>\n" + format.opening)
            assert question.startswith(f"<question>\n{PROGRAM_ASKED}\n")
            found = replace(format, read=partial(last_program, entry_point="")).parse_ending(f"{rest}</solution>", 0, 6)
            assert found.kind is Kind.SOLUTION, name
            space: dict[str, Any] = {}
            exec(found.answer or "", space)
            assert eval(call, space) == answer


def test_the_reflection_on_a_program_speaks_as_a_hint_does() -> None:
    of_programs = replace(PLANS, read=partial(last_program, entry_point=""))
    failed, rest = PROGRAM_REFLECTION_DEMONSTRATION.split("\n<verdict>\n")
    wrong = of_programs.parse_ending(failed.split(PLAN_OPEN)[1], 0, 6)
    assert "len(free)" in (wrong.answer or "")
    gold = last_program(rest, "")
    assert verdict(in_block(gold or "")) == f"\n<verdict>\n{rest.split('<reflection>')[0]}<reflection>\n"
    plan = rest.split(REFLECTION_CLOSE + PLAN_OPEN)[1].removesuffix(PLAN_CLOSE)
    whole = plan + PLAN_CLOSE + SOLUTION_OPEN + in_block("a") + "</solution>"
    assert of_programs.parse_ending(whole, 0, 6).answer == "a\n"


@pytest.mark.parametrize(
    ("demonstration", "wrong", "gold"),
    [(REFLECTION_DEMONSTRATION, "6", "15"), (OPTION_REFLECTION_DEMONSTRATION, "A", "B")],
)
def test_the_reflections_demonstration_speaks_as_a_hint_does(demonstration: str, wrong: str, gold: str) -> None:
    """A failed attempt, its verdict and a reflection on it; then the new plan, in the format."""
    failed, rest = demonstration.split(verdict(gold))
    assert PLANS.parse_ending(failed.split(PLAN_OPEN)[1], 0, 6) == Action(Kind.SOLUTION, wrong)
    assert rest.count(REFLECTION_CLOSE + PLAN_OPEN) == 1
    plan = rest.split(REFLECTION_CLOSE + PLAN_OPEN)[1].removesuffix(PLAN_CLOSE)
    assert PLANS.parse_ending(plan + solution_text("15"), 0, 6) == Action(Kind.SOLUTION, "15")


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```\na\n```\nthen\n```python\n    b\n\n    c\n```\nso", "    b\n\n    c\n"),
        ("```py\na\n```", "a\n"),
        ("```\na\n```\n```\nnever closed", "a\n"),
        ("`a`", None),
        ("```\n \n```", None),
        ("```text\nin\n```\nSo:\n```python\na\n```\n", "a\n"),
        ("```python\na\n```\nIt prints\n```text\n1\n```", "a\n"),
        ("```Python\na\n```\nIt prints\n```output\n1\n```", "a\n"),
        ("```python3  \r\na\r\n```\r\n", "a\n"),
        ("1. So:\n   ```py\n   def f():\n       return 1\n   ```", "def f():\n    return 1\n"),
        ("```python\nnever closed\n```python\na\n```", "a\n"),
        ("```bash\nls\n```", None),
        (
            "```python\ndef f():\n    return 1\n```\nSo:\n```python\nprint(f())\n```\n```\n1\n```",
            "def f():\n    return 1\n",
        ),
        ("```\nasync def f(): 1\n```\n```\ndef f(): 2\n```\n```\nf()\n```", "def f(): 2\n"),
        ("2. ```python\n   a\n   ```", "a\n"),
        ("- ```python\na\n```", "a\n"),
        ("~~~python\na\n~~~", "a\n"),
        ('```python title="x.py"\na\n```', "a\n"),
        ("```{.python}\na\n```\n```python:x.py\nb\n```", "b\n"),
        ("```python3.11\na\n```\n```ipython\nb\n```\n```pycon\n>>> c\n```", "b\n"),
        ("```python\na\n```. It is short.\n", "a\n"),
        ("```python\na\n``` This is all:\n", "a\n"),
        (
            '```python\n"""\n    ```\n    >>> f()\n    ```python\n"""\n```',
            '"""\n    ```\n    >>> f()\n    ```python\n"""\n',
        ),
        ("```python\na\n```!\n", "a\n"),
        ("```python\na\n``` So it is!\n", "a\n"),
        ("```python\na\n```Explanation:\n", "a\n"),
        ("```python\na\n```The function works by\ndoubling.\n", "a\n"),
        ("```python\na\n```python title=b of two files\nc\n```", "c\n"),
        ("```python\na\n``` This is all.\n", "a\n"),
        ("```python\na\n```python title=b\nc\n```", "c\n"),
        ("```python\na\n```py.\nc\n```", "c\n"),
        ("```python\na\n```python numbered lines\nc\n```", "c\n"),
        ("```python\na\n```Good luck!\nb\n```\n", "a\n"),
        ("```{.text}\na\n```", None),
        ("```\na\n```\n```c\nb\n```", "a\n"),
        ("``` {.python .numbered}\na\n```", "a\n"),
        (
            "```python\nimport math\n\ndef f():\n    return 1\n```\n```python\nf()\n```",
            "import math\n\ndef f():\n    return 1\n",
        ),
        ("```python\ns = '\u2028'\n```", "s = '\u2028'\n"),
        ("```python\nf = lambda n: n\n```\n```python\nf(1)\n```", "f = lambda n: n\n"),
        ("```" + " " * 50_000 + "`", None),
        ("`" * 50_000 + "a`", None),
    ],
)
def test_a_program_is_what_the_last_whole_block_of_code_holds(text: str, program: str | None) -> None:
    assert last_program(text, "") == program


@pytest.mark.parametrize(
    "behind", ["def test_f():\n    assert f()", "def main():\n    print(f())", "def fg(): 1", "g = f"]
)
def test_of_blocks_that_define_functions_the_one_that_is_asked_for_counts(behind: str) -> None:
    text = f"```python\ndef f():\n    return 1\n```\nThen:\n```python\n{behind}\n```\n"
    assert last_program(text, "f") == "def f():\n    return 1\n"
    assert last_program(text, "none") == (f"{behind}\n" if "def" in behind else "def f():\n    return 1\n")
    read = format_of("plan", "f").read
    assert read(text) == "def f():\n    return 1\n"
    assert format_of("plan") is PLANS

r"""What tells a model the text format that it was never trained on: worked examples or, in a chat, instructions.

CPL searches its first round with two demonstrations (methods.md 1.2). Ours are written for this project: two
that plan and solve, the same two without plans, and one that shows a failed attempt, its reflection and the better plan
(LEPA 4.2). Each again for multiple choice, where a small model that has seen numbers alone names no letter, and for
programs, whose solutions end otherwise.
"""

from collections.abc import Mapping

from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    PROGRAM_ASKED,
    SOLUTION_CLOSE,
    SOLUTION_OPEN,
    SOLUTIONS,
    STEP_CLOSE,
    Format,
    in_block,
    verdict,
)


def _steps(format: Format, *bodies: str) -> str:
    return "".join(f"{format.offered_step(i, body)}\n{STEP_CLOSE}" for i, body in enumerate(bodies))


def _answer(answer: str) -> str:
    return f"The final answer is \\boxed{{{answer}}}.\n{SOLUTION_CLOSE}"


def _program(program: str) -> str:
    return in_block(program).removeprefix("\n") + SOLUTION_CLOSE


def _lines(*lines: str) -> str:
    return PLAN_CLOSE + SOLUTION_OPEN + "".join(f"{i}. {line}\n" for i, line in enumerate(lines, start=1))


def _solution(*lines: str, answer: str) -> str:
    return _lines(*lines) + _answer(answer)


_BAKERY = (
    "A bakery fills 6 trays with 8 rolls each. By noon 18 rolls are sold, and in the afternoon half of what "
    "is left is sold. How many rolls remain in the evening?"
)
_BAKERY_PLAN = _steps(
    PLANS,
    "Find how many rolls were baked, from the number of trays and the rolls on each.",
    "Take away the rolls that were sold by noon.",
    "Halve what was left at noon, since the other half was sold in the afternoon.",
)
_BAKERY_LINES = (
    "There were 6 * 8 = 48 rolls.",
    "At noon 48 - 18 = 30 rolls are left.",
    "In the evening 30 / 2 = 15.",
)
_LINE = "The line $y = mx + 2$ passes through the point $(4, 5)$. What is $m$?"
_LINE_PLAN = _steps(
    PLANS,
    "Use that the point lies on the line to write an equation for $m$.",
    "Solve this equation for $m$ and keep the fraction exact.",
)
_LINE_LINES = ("At $(4, 5)$ the equation reads $5 = 4m + 2$.", "So $4m = 3$ and $m = \\frac{3}{4}$.")
_SLOPE = "\\frac{3}{4}"
_HASTY_PLAN = _steps(
    PLANS,
    "Find how many rolls were baked, from the number of trays and the rolls on each.",
    "Halve them, then take away the rolls that were sold by noon.",
)
_HASTY_LINES = ("There were 6 * 8 = 48 rolls.", "So 48 / 2 - 18 = 6 rolls remain.")

_BAKERY_OPTIONS = f"{_BAKERY}\nA. 6\nB. 15\nC. 30\nD. 48"
_SUN = "Which of these melts when it lies in the sun on a warm day?\nA. a coin\nB. a glass\nC. a spoon\nD. some butter"
_SUN_PLAN = _steps(
    PLANS,
    "Think of what each of the four things is made of.",
    "Choose the one that melts when it gets only a little warm.",
)
_SUN_LINES = ("Coins, glasses and spoons stay solid in the sun.", "Butter becomes soft and melts.")

DEMONSTRATIONS: Mapping[Format, str] = {
    PLANS: (
        f"{PLANS.prompt(_BAKERY)}{_BAKERY_PLAN}{_solution(*_BAKERY_LINES, answer='15')}\n"
        f"{PLANS.prompt(_LINE)}{_LINE_PLAN}{_solution(*_LINE_LINES, answer=_SLOPE)}\n"
    ),
    SOLUTIONS: (
        f"{SOLUTIONS.prompt(_BAKERY)}{_steps(SOLUTIONS, *_BAKERY_LINES)}{_answer('15')}\n"
        f"{SOLUTIONS.prompt(_LINE)}{_steps(SOLUTIONS, *_LINE_LINES)}{_answer(_SLOPE)}\n"
    ),
}
"""Prefix of every search and evaluation prompt of such a model, by the format that it is to write in."""

OPTION_DEMONSTRATIONS: Mapping[Format, str] = {
    PLANS: (
        f"{PLANS.prompt(_BAKERY_OPTIONS)}{_BAKERY_PLAN}{_solution(*_BAKERY_LINES, answer='B')}\n"
        f"{PLANS.prompt(_SUN)}{_SUN_PLAN}{_solution(*_SUN_LINES, answer='D')}\n"
    ),
    SOLUTIONS: (
        f"{SOLUTIONS.prompt(_BAKERY_OPTIONS)}{_steps(SOLUTIONS, *_BAKERY_LINES)}{_answer('B')}\n"
        f"{SOLUTIONS.prompt(_SUN)}{_steps(SOLUTIONS, *_SUN_LINES)}{_answer('D')}\n"
    ),
}
"""The same where the questions are multiple choice."""


def _asked(start: str) -> str:
    return f"{PROGRAM_ASKED}\n```python\n{start}\n```"


_SEATS = (
    'def taken(rows, free):\n    """How many seats are taken. Row i has rows[i] seats; nobody sits in the rows free."""'
)
_SEATS_PLAN = _steps(
    PLANS,
    "Go through the rows together with their numbers.",
    "Leave out the rows in which nobody sits.",
    "Add up the seats of the others.",
)
_SEATS_LINES = ("enumerate gives each row's number and its seats.", "A row counts where its number is not in free.")
_SEATS_PROGRAM = (
    "def taken(rows, free):\n    return sum(seats for number, seats in enumerate(rows) if number not in free)"
)
_SIGN = 'def signed(number):\n    """The number as text with its sign in front, + or -; 0 has none."""'
_SIGN_PLAN = _steps(PLANS, "Treat 0 apart, which has no sign.", "Write any other number with its sign.")
_SIGN_LINES = ("0 is written as it is.", "The format +d writes the sign of positive numbers, too.")
_SIGN_PROGRAM = 'def signed(number):\n    return f"{number:+d}" if number else "0"'
_HASTY_SEATS_PLAN = _steps(
    PLANS, "Add up the seats of all rows.", "Take away one seat for each row in which nobody sits."
)
_HASTY_SEATS_LINES = ("sum gives the seats of all rows.", "len gives the number of rows that are free.")
_HASTY_SEATS_PROGRAM = "def taken(rows, free):\n    return sum(rows) - len(free)"

PROGRAM_DEMONSTRATIONS: Mapping[Format, str] = {
    PLANS: (
        f"{PLANS.prompt(_asked(_SEATS))}{_SEATS_PLAN}{_lines(*_SEATS_LINES)}{_program(_SEATS_PROGRAM)}\n"
        f"{PLANS.prompt(_asked(_SIGN))}{_SIGN_PLAN}{_lines(*_SIGN_LINES)}{_program(_SIGN_PROGRAM)}\n"
    ),
    SOLUTIONS: (
        f"{SOLUTIONS.prompt(_asked(_SEATS))}{_steps(SOLUTIONS, *_SEATS_LINES)}{_program(_SEATS_PROGRAM)}\n"
        f"{SOLUTIONS.prompt(_asked(_SIGN))}{_steps(SOLUTIONS, *_SIGN_LINES)}{_program(_SIGN_PROGRAM)}\n"
    ),
}
"""The same where a question asks for a program."""


def _reflection(question: str, wrong: str, gold: str) -> str:
    return (
        f"{PLANS.prompt(question)}{_HASTY_PLAN}{_solution(*_HASTY_LINES, answer=wrong)}{verdict(gold)}"
        "Plan 2 halves too early: half of what is left at noon is sold, not half of all rolls. The morning's sale has "
        f"to be taken away before halving.\n</reflection>\n{PLAN_OPEN}{_BAKERY_PLAN}{PLAN_CLOSE}"
    )


REFLECTION_DEMONSTRATION = _reflection(_BAKERY, wrong="6", gold="15")
OPTION_REFLECTION_DEMONSTRATION = _reflection(_BAKERY_OPTIONS, wrong="A", gold="B")
PROGRAM_REFLECTION_DEMONSTRATION = (
    f"{PLANS.prompt(_asked(_SEATS))}{_HASTY_SEATS_PLAN}{_lines(*_HASTY_SEATS_LINES)}{_program(_HASTY_SEATS_PROGRAM)}"
    f"{verdict(in_block(_SEATS_PROGRAM))}Plan 2 takes away one seat for a row, but a row has several. The rows in "
    f"which nobody sits have to be left out with all their seats.\n</reflection>\n{PLAN_OPEN}{_SEATS_PLAN}{PLAN_CLOSE}"
)
"""Prefix of such a model's prompts for a reflection, and for the plan under it."""


def _instructions(calculation: str, ending: str) -> Mapping[Format, str]:
    first, following = f"the first {calculation}", f"the next {calculation}"
    return {
        PLANS: (
            "Solve the problem between the <question> tags. First write a plan, then the solution that follows it, in "
            f"exactly this form:\n\n{PLAN_OPEN}"
            + _steps(PLANS, "what is done first, in words, without its result", "what is done next")
            + _lines(f"{first.capitalize()}.", f"{following.capitalize()}.")
            + ending
            + "\n\nWrite as many steps and lines as the problem needs, and nothing else.\n\n"
        ),
        SOLUTIONS: (
            "Solve the problem between the <question> tags step by step, in exactly this form:\n\n"
            + SOLUTION_OPEN
            + _steps(SOLUTIONS, first, following)
            + ending
            + "\n\nWrite as many steps as the problem needs, and nothing else.\n\n"
        ),
    }


INSTRUCTIONS = _instructions("calculation", _answer("answer"))
PROGRAM_INSTRUCTIONS = _instructions("thing that the function does", _program("the whole function"))
"""What a user's turn of a chat begins with, before the question, by the format that the model is to write in."""

_THEN_REFLECT = (
    "When a <verdict> says that the answer is wrong, write between <reflection> tags, in a few sentences, which step "
    "of the plan went wrong and why. Then write a better plan.\n\n"
)
REFLECTION_INSTRUCTION = INSTRUCTIONS[PLANS] + _THEN_REFLECT
PROGRAM_REFLECTION_INSTRUCTION = PROGRAM_INSTRUCTIONS[PLANS] + _THEN_REFLECT
"""The same where a failed attempt and its verdict follow."""

r"""The worked examples put before a question for models that were never trained on the text format.

CPL searches its first round with two demonstrations (methods.md 1.2). Ours are written for this project: two
that plan and solve, and one that shows a failed attempt, its reflection and the better plan (LEPA 4.2).
"""

from tasks.language.format import PLAN_CLOSE, SOLUTION_CLOSE, SOLUTION_OPEN, question_prompt, verdict


def _plan(*steps: str) -> str:
    return "".join(f"<step>\nPlan {i}: {step}\n</step>\n" for i, step in enumerate(steps, start=1)) + PLAN_CLOSE


def _solution(*lines: str, answer: str) -> str:
    numbered = "".join(f"{i}. {line}\n" for i, line in enumerate(lines, start=1))
    return f"{SOLUTION_OPEN}{numbered}The final answer is \\boxed{{{answer}}}.\n{SOLUTION_CLOSE}"


_BAKERY = question_prompt(
    "A bakery fills 6 trays with 8 rolls each. By noon 18 rolls are sold, and in the afternoon half of what "
    "is left is sold. How many rolls remain in the evening?"
)
_BAKERY_PLAN = _plan(
    "Find how many rolls were baked, from the number of trays and the rolls on each.",
    "Take away the rolls that were sold by noon.",
    "Halve what was left at noon, since the other half was sold in the afternoon.",
)
_BAKERY_SOLUTION = _solution(
    "There were 6 * 8 = 48 rolls.", "At noon 48 - 18 = 30 rolls are left.", "In the evening 30 / 2 = 15.", answer="15"
)
_LINE = question_prompt("The line $y = mx + 2$ passes through the point $(4, 5)$. What is $m$?")
_LINE_PLAN = _plan(
    "Use that the point lies on the line to write an equation for $m$.",
    "Solve this equation for $m$ and keep the fraction exact.",
)
_LINE_SOLUTION = _solution(
    "At $(4, 5)$ the equation reads $5 = 4m + 2$.", "So $4m = 3$ and $m = \\frac{3}{4}$.", answer="\\frac{3}{4}"
)
_HASTY_PLAN = _plan(
    "Find how many rolls were baked, from the number of trays and the rolls on each.",
    "Halve them, then take away the rolls that were sold by noon.",
)
_HASTY_SOLUTION = _solution("There were 6 * 8 = 48 rolls.", "So 48 / 2 - 18 = 6 rolls remain.", answer="6")

DEMONSTRATIONS = f"{_BAKERY}{_BAKERY_PLAN}{_BAKERY_SOLUTION}\n{_LINE}{_LINE_PLAN}{_LINE_SOLUTION}\n"
"""Prefix of every search and evaluation prompt of such a model."""

REFLECTION_DEMONSTRATION = (
    f"{_BAKERY}{_HASTY_PLAN}{_HASTY_SOLUTION}{verdict(gold='15')}"
    "Plan 2 halves too early: half of what is left at noon is sold, not half of all rolls. The morning's sale has "
    f"to be taken away before halving.\n</reflection>\n<plan>\n{_BAKERY_PLAN}"
)
"""Prefix of such a model's prompts for a reflection, and for the plan under it."""

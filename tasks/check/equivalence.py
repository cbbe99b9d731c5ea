r"""Decides whether two answers state the same. The conventions stand in tasks/check/README.md.

normalise (characters.py, notation.py) -> typed answer (reading.py) -> comparison by type (compare.py) -> algebra
(symbolic.py, enclosure.py) for what is left.
"""

import re

from tasks.check.compare import Algebra, same
from tasks.check.notation import depth, last_boxed, normalise, squeeze
from tasks.check.reading import read

LONGEST = 1_000
"""Characters: a longer answer is wrong unread. The longest reference answer of GSM8K or MATH has fewer than 200."""
DEEPEST = 40
"""Nested brackets: an answer nested deeper is wrong unread."""


class NeedsAlgebra(Exception):
    """The two answers cannot be told apart or matched without a computer algebra system."""


def extract_answer(text: str) -> str | None:
    r"""Content of the last complete \boxed{...} of a text (balanced braces), stripped; None when there is none."""
    return last_boxed(text)


def same_expression(gold: str, answer: str) -> bool:
    """`symbolic.same_expression`; its imports are for those processes only that need algebra."""
    from tasks.check import symbolic

    return symbolic.same_expression(gold, answer)


def is_equal(gold: str, answer: str, algebra: Algebra = same_expression) -> bool:
    """Whether `answer` states the same final answer as `gold`.

    Not symmetric: what `answer` leaves out is supplied from `gold`. May take for ever on a hostile answer, so
    call it through `Checker`; `algebra` compares two LaTeX formulas.

    Raises:
        Undecidable: it can't be found out at a bearable cost.
    """
    if not gold.strip() or not answer.strip() or len(answer) > max(LONGEST, 2 * len(gold)):
        return False
    if depth(answer) > max(DEEPEST, depth(gold)):
        return False
    return is_same_text(gold, answer) or same(read(normalise(gold)), read(normalise(answer)), algebra)


def is_equal_at_sight(gold: str, answer: str) -> bool | None:
    """`is_equal` where it needs no algebra (plain numbers, words, choices, identical formulas), else None. Fast."""
    if len(gold) > LONGEST:
        return True if is_same_text(gold, answer) else None

    def give_up(gold: str, answer: str) -> bool:
        raise NeedsAlgebra

    try:
        return is_equal(gold, answer, give_up)
    except NeedsAlgebra:
        return None


def is_same_text(gold: str, answer: str) -> bool:
    """Whether both are the same string once written in one way: the exact check of `micro` and of multiple choice."""
    return as_compared(gold) == as_compared(answer)


def as_compared(text: str) -> str:
    """The one way in which `is_same_text` writes a text."""
    text = re.sub(r"(?<=\d),\s+(?=\d{3}(?!\d))", ";", normalise(text).replace('"', ""))  # "22, 500" is no 22,500
    text = squeeze(text)
    return text[1:-1] if len(text) == 3 and text[0] == "(" and text[2] == ")" else text

r"""Does a plan state the answer? LEPA forbids it ("information bypassing", methods.md 4.2).

A plan that follows a reflection was written by who had been told the answer. Every number and formula in it is read as
the answer check reads answers, so that 1,000 states 1000, and 0.75 states \frac{3}{4}. Of a program its lines are read.
"""

import re
from collections.abc import Iterator

from text_to_num import alpha2digit

from tasks.check import Checker, Verdict
from tasks.check.equivalence import is_equal_at_sight

MOST_FORMULAS = 32
"""Formulas of a plan that are compared by algebra, each of which may take the check's time limit."""

_PARTS = {"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8}
_PART = re.compile(rf"\b([a-z]+|\d+)[\s-]+({'|'.join(_PARTS)})s?\b", re.IGNORECASE)
_HALF = re.compile(r"\bhalf\b", re.IGNORECASE)
_MINUS = re.compile(r"\b(?:minus|negative) (?=\d)", re.IGNORECASE)

_GROUPED = r"\d{1,3}(?:(?:,|\{,\}|\\[,!]|\s)\d{3})+(?!\d)"
_PLAIN = rf"(?:(?:{_GROUPED}|\d+)(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?<![\w.])-?(?:\d+ \d+/\d+|{_PLAIN}(?:\s*/\s*{_PLAIN})?)"
    r"(?![A-Za-z](?![A-Za-z]))(?:\s*\\?%)?"  # 4x is another number, 4cm is not
)

_SYMBOL = r"[\d.,;:/^_+*=<>(){}\[\]|%°!√π×·÷−-]|\\[A-Za-z]+|\\[,!;:{}%$]"
_NAME = r"(?<![A-Za-z])(?:pi|sqrt|[A-Za-z])(?![A-Za-z])"
_FORMULA = re.compile(rf"(?:{_SYMBOL}|{_NAME})(?:\s?(?:(?:and|or)\s)?(?:{_SYMBOL}|{_NAME}))*")
_DELIMITED = re.compile(r"\$+([^$]+)\$+|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_LETTERS = re.compile(r"^\s*\(?[A-Z][).:]\s+", re.MULTILINE)
"""Before the options that a question shows."""
_NOT_IN_PROSE = dict.fromkeys("AI", r"(?! [a-z])")
_IS_CODE = re.compile(r"\w.*[^\w\s]|[^\w\s].*\w")
_IS_TOLD = re.compile(r"(?!(?:async )?def |class |import |from |@)(?:return\b.*|.{12,})")
"""Of a program's lines those that tell how it answers: no heading or import, and none as short as "count = 0"."""
_IS_FORMULA = re.compile(r"[\d\\√π^]")


async def leaks_answer(plan: str, question: str, gold: str, checker: Checker) -> bool:
    """Whether a plan states the correct answer.

    What the question names may well be the answer; that is not held against the plan. The letters of its options are no
    such names. The word "one" alone counts as the pronoun, and "A" before another word as the article.
    """
    steps = re.sub(r"\b(?:Plan|Step)s? \d+", "", plan)
    return await _states(steps, gold, checker) and not await _states(_LETTERS.sub("", question), gold, checker)


async def leaks_program(plan: str, question: str, program: str) -> bool:
    """Whether a plan holds a line of the program that was shown, word for word, which the question does not show.

    Lines of words alone ("return True") are what a plan may well say, as are headings, imports and very short lines.
    """
    lines = {line.strip().removesuffix(":") for line in program.splitlines()}
    telling = (line for line in lines if _IS_TOLD.fullmatch(line) and _IS_CODE.search(line))
    return any(_holds(plan, line) and not _holds(question, line) for line in telling)


def _holds(text: str, line: str) -> bool:
    """Word for word, and number for number."""
    return re.search(rf"(?<!\w){re.escape(line)}(?!\w)", text) is not None


async def _states(text: str, gold: str, checker: Checker) -> bool:
    if _words_of(gold) and re.search(
        rf"(?<![\w.]){re.escape(_words_of(gold))}(?![\w]|\.\d){_NOT_IN_PROSE.get(_words_of(gold), '')}",
        text,
        _case(gold),
    ):
        return True
    undecided = []
    for stated in dict.fromkeys(stated_values(text)):
        match is_equal_at_sight(gold, stated):
            case True:
                return True
            case None:
                undecided.append(stated)
    # Against a number, algebra would only work out what the plan leaves to the solution: 2^3 does not state 8.
    if is_equal_at_sight(gold, "0") is False:
        return False
    for stated in undecided[:MOST_FORMULAS]:
        if await checker.check(gold, stated) is Verdict.RIGHT:
            return True
    return False


def stated_values(text: str) -> Iterator[str]:
    """The numbers and formulas of a text, as they may be answers: whole, by the sides of "=", and number by number."""
    text = _in_digits(text)
    for match in _NUMBER.finditer(text):
        yield match[0]
    delimited = [next(filter(None, match.groups())) for match in _DELIMITED.finditer(text)]
    for formula in (*delimited, *(match[0] for match in _FORMULA.finditer(text.replace("$", " ")))):
        for part in (formula, *re.split("[=:;]", formula)):
            if _IS_FORMULA.search(part):
                yield part.strip(" .,;:!")


def _in_digits(text: str) -> str:
    """Numbers and fractions that are written in words: seventy-two, three quarters, negative five."""
    text = _PART.sub(_fraction, text)
    text = _HALF.sub("1/2", text)
    text = alpha2digit(text, "en", threshold=2.0)  # "one" alone is no number
    return _MINUS.sub("-", text)


def _fraction(match: re.Match[str]) -> str:
    over = "1" if match[1].lower() in ("a", "an") else alpha2digit(match[1], "en", threshold=0.0)
    return f"{over}/{_PARTS[match[2].lower()]}" if over.isdecimal() else match[0]


def _words_of(gold: str) -> str:
    return gold.strip(" $().")


def _case(gold: str) -> re.RegexFlag:
    """A letter alone is an option's name, and "a" is a word."""
    return re.NOFLAG if len(_words_of(gold)) == 1 else re.IGNORECASE

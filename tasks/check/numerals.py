r"""Plain numbers, exactly: integers, decimals, fractions, mixed and repeating ones, powers of ten."""

import re
from fractions import Fraction

from tasks.check.notation import squeeze

_DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
_MIXED = re.compile(r"(?<![\d.^_}A-Za-z])(\d{1,99})\s*\\frac\{(\d{1,99})\}\{(\d{1,99})\}")
_MIXED_SLASH = re.compile(r"(?<![\d./^_}A-Za-z])(\d{1,99})\s+(\d{1,99})\s*/\s*(\d{1,99})(?![\d.])")
_SLASH = re.compile(r"(?<![\d./^_}A-Za-z)])(\d{1,99})\s*/\s*(\d{1,99})(?=\s*[A-Za-z\\])")
"""1/2x is half of x, and 1/2\\pi half of \\pi: the parser would take all that follows for the denominator."""
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d /])")  # thousands
_RECURRING = re.compile(r"(?<![\d.])(\d{0,99})\.(\d{0,99}?)(?:\\overline\{(\d{1,99})\}|\((\d{1,99})\))(?:\s*\\ldots)?")
_SEXAGESIMAL = re.compile(rf"(\d{{1,9}})\s*\^\s*\\circ\s*(?:({_DECIMAL})\s*')?\s*(?:({_DECIMAL})\s*'')?")
_LONGEST = 400  # digits; Python refuses to read integers of more than 4300


def exact_value(text: str) -> Fraction | None:
    r"""The value of a plain number, None for anything else (a root, a letter, a huge power).

    `1\frac{2}{3}` and `1 2/3` are mixed numbers; `0.\overline{3}`, `0.(3)` and `0.333\ldots` repeat for ever;
    `1.5\times10^{3}` and `1.5e3` are powers of ten.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    text = re.sub(r"^\+\s*|(?<=^-)\s+", "", text)
    if text.startswith("-"):
        value = None if text[1:2] in ("-", "+") else exact_value(text[1:])
        return None if value is None else -value
    if re.fullmatch(r"\d{1,3}(?:(?: \d{3})+|(?:,\d{3})+)(?:\.\d+)?", text):
        text = re.sub("[ ,]", "", text)
    if match := re.fullmatch(rf"({_DECIMAL})(?:\s*/\s*(-?{_DECIMAL}))?", text):
        return _divide(Fraction(match[1]), Fraction(match[2] or 1))
    if match := re.fullmatch(rf"\\frac\{{\s*(-?{_DECIMAL})\s*\}}\{{\s*(-?{_DECIMAL})\s*\}}", text):
        return _divide(Fraction(match[1]), Fraction(match[2]))
    if match := _MIXED.fullmatch(text) or _MIXED_SLASH.fullmatch(text):
        whole, part = int(match[1]), _divide(Fraction(int(match[2])), Fraction(int(match[3])))
        return whole + part if part is not None and part < 1 else None
    if match := _RECURRING.fullmatch(text):
        return _repeating(match[1], match[2], match[3] or match[4])
    if match := re.fullmatch(r"(\d*)\.(\d{0,20}?)(\d{1,20}?)\3+\s*\\ldots", text):
        return _repeating(*match.groups())
    power = rf"({_DECIMAL})\s*(?:(?:\\times|\\cdot)\s*10\s*\^\s*\{{?\s*|[eE])([+-]?\d{{1,3}})\s*\}}?"
    if match := re.fullmatch(power, text):
        return Fraction(match[1]) * Fraction(10) ** int(match[2])
    return None


def as_formula(text: str) -> str:
    r"""LaTeX for algebra, free of what a reader must know: no decimals, mixed numbers, degree signs, spaces.

    `1\frac{2}{3}\pi` -> `(1+\frac{2}{3})\pi`, `2.5x` -> `{\frac{5}{2}}x`.
    """
    text = text.replace('"', "")
    text = re.sub(r"(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?", r"{\\frac{\\pi}{180}\\cdot \1}", text)
    text = _MIXED_SLASH.sub(_as_sum, _MIXED.sub(_as_sum, text))
    text = _GROUPED.sub(lambda match: match[0].replace(" ", ""), text)
    text = _RECURRING.sub(lambda match: _fraction(_repeating(match[1], match[2], match[3] or match[4])), text)
    text = _SLASH.sub(r"{\\frac{\1}{\2}}", text)
    return squeeze(re.sub(r"(?<![\d.])(?<!\d )(\d*)\.(\d+)(?![\d.])", _as_fraction, text))


def degrees(text: str) -> Fraction | None:
    r"""The degrees of an angle in degrees, minutes and seconds: `30^\circ 15'` is 30.25."""
    match = _SEXAGESIMAL.fullmatch(text.strip())
    if not match or not (match[2] or match[3]):
        return None
    return int(match[1]) + Fraction(match[2] or 0) / 60 + Fraction(match[3] or 0) / 3600


def _as_sum(match: re.Match[str]) -> str:
    whole, over, under = match.groups()
    return rf"({whole}+\frac{{{over}}}{{{under}}})" if int(over) < int(under) else match[0]


def _as_fraction(match: re.Match[str]) -> str:
    """As text: Python refuses to read integers of more than 4,300 digits."""
    whole, part = match[1], match[2].rstrip("0")
    return rf"{{\frac{{{(whole + part).lstrip('0') or '0'}}}{{1{'0' * len(part)}}}}}"


def _fraction(value: Fraction) -> str:
    return rf"{{\frac{{{value.numerator}}}{{{value.denominator}}}}}"


def _divide(over: Fraction, under: Fraction) -> Fraction | None:
    return over / under if under else None


def _repeating(whole: str, fixed: str, block: str) -> Fraction:
    scale = 10 ** len(fixed)
    return int(whole or 0) + Fraction(int(fixed or 0), scale) + Fraction(int(block), scale * (10 ** len(block) - 1))

r"""What an answer is: a number with its unit, a list, a point, an interval, a clock time, a choice, ...

`read` turns a normalised answer (notation.py) into one of the types below. Reading is pure and knows one answer only;
what depends on the other one (whose unit was left out, which base bare digits are in) is decided in equivalence.py.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from tasks.check.notation import matching, split_outside, squeeze
from tasks.check.numerals import exact_value, spell_mixed
from tasks.check.units import NUMBER_WORDS, SCALES, canonical, is_unit


@dataclass(frozen=True)
class Quantity:
    """A number or formula: LaTeX, its exact value where it is a plain number, its unit ("" where none is named)."""

    formula: str
    exact: Fraction | None
    unit: str = ""


@dataclass(frozen=True)
class Based:
    """An integer or fraction written in another base, such as 37_8."""

    value: Fraction
    base: int


@dataclass(frozen=True)
class Clock:
    hour: int
    minute: int
    half: Literal["a", "p", ""]


@dataclass(frozen=True)
class Ratio:
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    text: str


@dataclass(frozen=True)
class Listing:
    """Members in no order: roots, chosen options ("list"), or a set in braces, where repeats do not count ("set")."""

    members: tuple["Answer", ...]
    is_set: bool = False


@dataclass(frozen=True)
class Ordered:
    """Members between brackets: a point, a tuple, or an interval ("(" ... "]")."""

    brackets: str
    members: tuple["Answer", ...]


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple["Answer", ...], ...]


@dataclass(frozen=True)
class Region:
    """A set of numbers made of several: union, difference, a named set. `formula` is for algebra."""

    members: tuple["Answer", ...]
    formula: str


@dataclass(frozen=True)
class Named:
    """`name = value` (or `name` in a region): the name may be left out."""

    name: str
    value: "Answer"
    formula: str


@dataclass(frozen=True)
class Relation:
    """An equation or inequality that is not of the form `name = value`."""

    formula: str


Answer = Quantity | Based | Clock | Ratio | Words | Listing | Ordered | Matrix | Region | Named | Relation

_VARIABLE = r"(?:[A-Za-z]|\\(?!pi\b|infty\b|in\b)[a-z]+)(?:_\{\w+\}|'|\^\{-1\})*"
_NAME = re.compile(
    rf"{_VARIABLE}(?:\({_VARIABLE}(?:,{_VARIABLE})*\))?|\({_VARIABLE}(?:,{_VARIABLE})+\)|\"[^\"]*\"|m?\\angle ?[A-Z]+"
    rf"|\\overline\{{[A-Z]+\}}|\|[A-Z]+\||[A-Z]{{2}}"
)
_SEPARATOR = r"[,;]|\"[,;]?\s*(?:and|or)\s*\"|(?<=[\s\"])(?:and|or)(?=[\s\"])|\\(?:land|lor|vee|wedge)(?![A-Za-z])"
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})((?:,\d{3})+)(?![\d]|,\d)")
_ORDER = re.compile(r"(<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z]))")
_REALS = re.compile(r"(?:the set of )?(?:all )?real(?: number)?s?|reals|\\mathbb\{R\}", re.IGNORECASE)
_MATH_WORD = r"sin|cos|tan|cot|sec|csc|log|exp|sqrt|pi|arcsin|arccos|arctan|frac|infty"


def read(text: str) -> Answer:
    """The typed answer of a normalised text. Total: what it cannot make out is a `Quantity` with a formula only."""
    text = _unwrap(text)
    if "\\pm" in text or "\\mp" in text:
        return _plus_minus(text)
    if text.startswith(r"\{") and text.endswith(r"\}") and matching(text, 1) == len(text) - 1:
        inside = text[2:-2]
        condition = split_outside(inside, r"\\mid(?![A-Za-z])|\||(?<!\d)\s*:")
        if len(condition) == 2:
            return read(condition[1])
        return Listing(tuple(read(member) for member in split_outside(inside, "[,;]")), is_set=True)
    joined = _THOUSANDS.sub(lambda match: match[1] + match[2].replace(",", ""), text) if text[:1] not in "([" else text
    members = split_outside(joined, _SEPARATOR)
    if len(members) > 1:
        return _listing(members, joined)
    text = members[0] if members and text[:1] not in "([" else text
    return _bracketed(text) or _relation(text) or _region(text) or _scalar(text)


def _unwrap(text: str) -> str:
    """Without brackets or quotes round the whole."""
    text = text.strip()
    while True:
        if text[:1] == '"' and text.find('"', 1) == len(text) - 1 and len(text) > 1:
            inner = text[1:-1].strip()
        elif text[:1] in ("(", "{") and matching(text, 0) == len(text) - 1 and len(split_outside(text[1:-1], ",")) < 2:
            if text[-1] not in ")}":
                return text
            inner = text[1:-1].strip()
        else:
            return text
        text = inner


def _plus_minus(text: str) -> Answer:
    """Every choice of signs: independent for several plus-minus signs, opposite for a minus-plus."""
    joint = r"\mp" in text
    variants = [text]
    while any(r"\pm" in one or r"\mp" in one for one in variants):
        if joint:
            variants = [
                one.replace(r"\pm", plus).replace(r"\mp", minus) for one in variants for plus, minus in ("+-", "-+")
            ]
        else:
            variants = [one.replace(r"\pm", sign, 1) for one in variants for sign in "+-"]
        if len(variants) > 16:
            return Quantity(text, None)
    return _listing_of([read(re.sub(r"(^|[=(,])\s*\+", r"\1", one)) for one in variants])


def _listing(members: list[str], text: str) -> Answer:
    """Members of a list; `x = 1, 2` names both, conditions joined by "or" (or "and") are one region."""
    answers = [read(member) for member in members]
    if all(isinstance(one, Named) and isinstance(one.value, Ordered | Region) for one in answers):
        regions = [one for one in answers if isinstance(one, Named)]
        if len({one.name for one in regions}) == 1 and not re.search(r",|;|and|\\land|\\wedge", text.replace(", or", "or")):
            formula = r"\cup ".join(one.formula for one in regions)
            return Named(regions[0].name, Region(tuple(one.value for one in regions), formula), formula)
    return _listing_of(answers)


def _listing_of(answers: list[Answer]) -> Answer:
    flat: list[Answer] = []
    for one in answers:
        flat.extend(one.members if isinstance(one, Listing) and not one.is_set else (one,))
    first = flat[0]
    if isinstance(first, Named) and all(not isinstance(one, Named) or one.name == first.name for one in flat):
        values = _listing_of([one.value if isinstance(one, Named) else one for one in flat])
        return Named(first.name, values, first.formula)
    return Listing(tuple(flat))


def _bracketed(text: str) -> Answer | None:
    if match := re.fullmatch(r"\\begin\{matrix\}(.*)\\end\{matrix\}", text, re.DOTALL):
        rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", match[1]) if row.strip()]
        return Matrix(tuple(tuple(read(cell) for cell in row.split("&")) for row in rows))
    if re.match(r"[(\[]\s*\\begin\{matrix\}", text) and text[-1:] in ")]":
        return _bracketed(text[1:-1].strip())
    if match := re.fullmatch(r"\\langle(?![A-Za-z])(.*)\\rangle", text):
        text = f"({match[1]})"
    if text[:1] in ("(", "[") and matching(text, 0) == len(text) - 1 and text[-1] in ")]":
        members = split_outside(text[1:-1], "[,;]")
        if len(members) > 1:
            return Ordered(text[0] + text[-1], tuple(read(member) for member in members))
    return None


def _relation(text: str) -> Answer | None:
    """`x = 4`, `4 = x`, `A = 2 + 3 = 5`, `-2 < x \\le 7`, `x \\in (1, 2)`, and other equations."""
    if r"\in " in text and len(parts := split_outside(text, r"\\in(?![A-Za-z])")) == 2 and _is_name(parts[0]):
        return _named(parts[0], parts[1])
    order = [mark for mark in _ORDER.split(text) if mark]
    if len(order) > 1:
        parts, marks = [squeeze(part) for part in order[0::2]], order[1::2]
        return _inequality(parts, marks) or Relation(squeeze(text))
    parts = split_outside(text, "=")
    if len(parts) < 2:
        return None
    if _is_name(parts[0]):
        return _named(parts[0], parts[-1])
    if _is_name(parts[-1]) and len(parts) == 2:
        return _named(parts[1], parts[0])
    if not re.search(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", re.sub(r'"[^"]*"', "", text)):
        return read(parts[-1])  # a calculation: 6/3 = 2 answers 2
    return Relation(squeeze(text))


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(squeeze(text)) is not None


def _named(name: str, value: str) -> Named:
    return Named(squeeze(name).strip('"'), read(value), f"{squeeze(name)}={_formula(value)}")


def _inequality(parts: list[str], marks: list[str]) -> Named | None:
    """One variable between or beside numbers, as the interval it stands for."""
    place = next((index for index, part in enumerate(parts) if re.fullmatch(_VARIABLE, part)), None)
    if place is None or len(parts) != len(marks) + 1 or len(parts) > 3:
        return None
    name = parts[place]
    if any(re.search(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z])", part) for i, part in enumerate(parts) if i != place):
        return None
    if len(parts) == 2:
        bound, mark = parts[1 - place], marks[0]
        if place == 1:
            mark = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}.get(mark, mark)
        if mark == r"\ne":
            text = rf"(-\infty,{bound})\cup({bound},\infty)"
        elif mark in ("<", r"\le"):
            text = rf"(-\infty,{bound}{')' if mark == '<' else ']'}"
        else:
            text = rf"{'(' if mark == '>' else '['}{bound},\infty)"
    elif place == 1 and set(marks) <= {"<", r"\le"}:
        text = f"{'(' if marks[0] == '<' else '['}{parts[0]},{parts[2]}{')' if marks[1] == '<' else ']'}"
    elif place == 1 and set(marks) <= {">", r"\ge"}:
        text = f"{'(' if marks[1] == '>' else '['}{parts[2]},{parts[0]}{')' if marks[0] == '>' else ']'}"
    else:
        return None
    return Named(name, read(text), text)


def _region(text: str) -> Answer | None:
    if _REALS.fullmatch(text.replace('"', "").strip()):
        return read(r"(-\infty,\infty)")
    if not re.search(r"\\(?:cup|cap|setminus|mathbb|emptyset)(?![A-Za-z])", text):
        return None
    return Region(tuple(read(member) for member in split_outside(text, r"\\cup(?![A-Za-z])")), _formula(text))


def _scalar(text: str) -> Answer:
    plain = re.sub(r'\s*"\s*', lambda match: " " if match[0].strip() != match[0] else "", text).strip()
    if match := re.fullmatch(r"(\d{1,2})\s*(?::\s*(\d{2}))?\s*([ap])\.?\s*m\.?", plain.replace(" ", ""), re.IGNORECASE):
        return Clock(int(match[1]), int(match[2] or 0), "a" if match[3].lower() == "a" else "p")
    if len(parts := split_outside(text, r':|"\s*to\s*"|\\to(?![A-Za-z])|(?<=\d)\s+to\s+(?=\d)')) > 1:
        return Ratio(tuple(_formula(part) for part in parts))
    digits = re.sub(r"_\{\s*(?:base)?\s*(\w+)\s*\}|,?\s*\(?base\s+(\w+)\)?\Z", r"_{\1\2}", squeeze(plain) if "base" not in plain else plain)
    if match := re.fullmatch(r"([+-]?)\(?([0-9A-Za-z]+)(?:\.([0-9A-Za-z]+))?\)?\s*_\{(\w+)\}", digits):
        base = NUMBER_WORDS.get(match[4].lower()) or (int(match[4]) if match[4].isdecimal() else 0)
        if (based := in_base(f"{match[1]}{match[2]}.{match[3] or ''}", base)) is not None:
            return based
    return _quantity(text, plain)


def in_base(digits: str, base: int) -> Based | None:
    """Digits (letters above 9) read in `base`; None where they are no such number."""
    match = re.fullmatch(r"([+-]?)([0-9A-Za-z]+)\.?([0-9A-Za-z]*)", digits)
    if not match or not 2 <= base <= 36 or len(digits) > 200:
        return None
    try:
        value = Fraction(int(match[2] + match[3], base), base ** len(match[3]))
    except ValueError:
        return None
    return Based(-value if match[1] == "-" else value, base)


def _quantity(text: str, plain: str) -> Answer:
    number, unit, factor = _take_unit(text, plain)
    if re.search(r"[A-Za-z]{4}|[A-Za-z]{2}\s+[A-Za-z]{2}", number) and not re.search(r"[\\^_{}=]|\d", number):
        if not re.match(_MATH_WORD, number):
            return Words(number.casefold().strip(" .!"))
    if number.casefold() in NUMBER_WORDS:
        number = str(NUMBER_WORDS[number.casefold()])
    exact = exact_value(number)
    if factor == 1:
        return Quantity(_formula(number), exact, unit)
    return Quantity(
        rf"\frac{{{factor.numerator}}}{{{factor.denominator}}}\cdot({_formula(number)})",
        None if exact is None else exact * factor,
        unit,
    )


_LAST_UNIT = re.compile(r"(.*[\d)}!A-Za-z])\s*((?<![A-Za-z])[A-Za-z][A-Za-z.]*(?:[\s/^.-]*(?:[A-Za-z]+|\d|\{\d\}))*)", re.DOTALL)


def _take_unit(text: str, plain: str) -> tuple[str, str, Fraction]:
    """The number's own text, the unit's one name, and the factor of a scale word ("million")."""
    currency = re.match(r"(-?)\s*([$£€])\s*", text)
    unit_text = currency[2] if currency else ""
    if currency:
        text = plain = currency[1] + text[currency.end() :]
    for mark, name in ((r"\s*%", "percent"), (r"\s*\^\s*\{?\\circ\s*\}?", "degree")):
        if match := re.fullmatch(rf"(.*?){mark}\s*(?:\"?\s*([FCK])\s*\"?)?", text, re.DOTALL):
            scale = {"F": " fahrenheit", "C": " celsius", "K": " kelvin"}.get(match[2] or "", "")
            return _strip_number(match[1]), canonical(name + scale), Fraction(1)
    quote = text.find('"')
    if quote > 0 and re.search(r"[A-Za-z0-9)}]", text[:quote]) and not re.match(r"[_^]", text[quote - 1 : quote]):
        text, unit_text = text[:quote].rstrip("\\ ").removesuffix(r"\cdot").strip(), f"{unit_text} {text[quote:]}"
        text = re.sub(r"\\frac\{\Z", "", text)
    elif match := _LAST_UNIT.fullmatch(plain):
        words = re.findall(r"[A-Za-z]+", match[2])
        apart = plain[match.end(1)].isspace() if match.end(1) < len(plain) else False
        known = [is_unit(word) and (len(word) > 1 or apart) for word in words]
        noun = any(len(word) > 3 or word in SCALES for word in words) and not re.match(_MATH_WORD, words[0])
        if not re.search(r"[A-Za-z]\Z", match[1]) and (known[0] or noun):
            text, unit_text = match[1], f"{unit_text} {match[2]}"
        else:
            text = plain
    else:
        text = plain
    factor = Fraction(1)
    for word in re.findall(r"[a-z]+", unit_text.lower()):
        factor *= SCALES.get(word, 1)
    kept = re.sub(rf"\b(?:{'|'.join(SCALES)})s?\b", " ", unit_text, flags=re.IGNORECASE)
    return _strip_number(text), canonical(kept), factor


def _strip_number(text: str) -> str:
    text = text.replace('"', " ").strip()
    return _unwrap(text) if text[:1] in "({" else text


def _formula(text: str) -> str:
    """LaTeX for algebra: exact decimals, mixed numbers as sums, no spaces."""
    return squeeze(spell_mixed(text.replace('"', "")))


def without_name(answer: Answer) -> Answer:
    return answer.value if isinstance(answer, Named) else answer


def same_unit(answer: Quantity, unit: str) -> Quantity:
    return replace(answer, unit=unit)

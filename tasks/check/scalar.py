"""One value without structure: a clock time, a ratio, a number with its base or unit, a formula, or words."""

import re
from fractions import Fraction

from tasks.check.answers import Answer, Based, Clock, Quantity, Ratio, Words
from tasks.check.notation import split_outside, squeeze, unwrap
from tasks.check.numerals import as_formula, degrees, exact_value
from tasks.check.units import COLLECTIVES, NUMBER_WORDS, SCALES, canonical, is_unit, powers_marked

_MATH_WORD = r"sin|cos|tan|cot|sec|csc|log|exp|sqrt|pi|arcsin|arccos|arctan|frac|infty|mod|bmod|max|min|gcd|lcm|det|lim"


_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?([ap])\.?m\.?", re.IGNORECASE)
_RATIO = r':|"\s*to\s*"|\\to(?![A-Za-z])|(?<=\d)\s+to\s+(?=\d)'
_NO_NUMBER = re.compile(
    r"\d+(?:\.\d+){2,}"  # a version
    r"|\d+([-/])\d+\1\d+"  # a date
    r"|.*[\d.]\s+[\d.].*"  # digits apart
    r"|-?\d+remainder\d+"
)
_SCALE = re.compile(rf"[\s\"]*({'|'.join(sorted(SCALES, key=len, reverse=True))})(?![\w-])(?:\s+of\b)?", re.IGNORECASE)
_NO_UNIT = re.compile(
    r"\b(?:not|no|nor|never|isn|wrong|incorrect|false|impossible|maybe)\b|(?<!\^)(?<!\^\{)(?<!\^\{-)\d"
    r"|\b(?:less|fewer|least|more|most|greater|larger|smaller|higher|lower|than|below|above|under|over|beyond|ago|before)\b"
    r"|\b(?:negative|reciprocal|inverse|opposite)[\s\"]*\Z|\A[\s\"]*(?:squared|cubed|factorial)\b"
    rf"|\b(?:{'|'.join(SCALES.keys() - COLLECTIVES - {f'{word}s' for word in COLLECTIVES})})\b"
    rf"|-(?:{'|'.join(SCALES)})\b"
    r"|\A(?:st|nd|rd|th)\b"
    r"|\A\"\s*(?-i:[eiknxyz])\s*\"\Z|\A\"(?-i:[KMB])\"\Z",  # \text{k}, but \text{ K} is Kelvin
    re.IGNORECASE,
)
"""Words behind a number and its scales that deny it, bound it or change it, and further digits: "7 is wrong",
"7 or less", "7 days ago", "7 maybe 8", "7 squared"."""
_WORDED = re.compile(r"[A-Z]{4}|[A-Z]{2}\s+[A-Z]{2}|\A(?:yes|no)\Z", re.IGNORECASE)
_BASE = re.compile(r"\s*_\{\s*(?:base)?\s*(\w+)\s*\}|,?\s*\(?\bbase\s+(\w+)\)?\Z")
_PLAIN_UNIT = re.compile(r"(.*?(?:[\d)}!]|\\pi))\s*(/?\s*[A-Za-z][A-Za-z\s/^.\d{}-]*)", re.DOTALL)


def read_scalar(text: str) -> Answer:
    """The value that a text without list, brackets or relation states; text stands between double quotes."""
    plain = re.sub(r'\s*"\s*', " ", text).strip()
    if match := _CLOCK.fullmatch(plain.replace(" ", "")):
        return Clock(int(match[1]), int(match[2] or 0), match[3].lower())
    if len(parts := split_outside(text, _RATIO)) > 1:
        return Ratio(tuple(as_formula(part) for part in parts))
    if match := re.fullmatch(r"\(?([+-]?[0-9A-Za-z.]+)\)?_\{(\w+)\}", squeeze(_BASE.sub(r"_{\1\2}", plain))):
        base = NUMBER_WORDS.get(match[2].lower()) or (int(match[2]) if match[2].isdecimal() else 0)
        if (based := in_base(match[1], base)) is not None:
            return based
    return _quantity(text, plain)


def in_base(digits: str, base: int) -> Based | None:
    """Digits (letters above 9) read in `base`; None where they are no such number."""
    match = re.fullmatch(r"([+-]?)([0-9A-Za-z]+)\.?([0-9A-Za-z]*)", digits)
    if not match or base < 2 or len(digits) > 200:
        return None
    try:
        value = Fraction(int(match[2] + match[3], base), base ** len(match[3]))
    except ValueError:
        return None
    return Based(-value if match[1] == "-" else value, base)


def _quantity(text: str, plain: str) -> Answer:
    if (angle := degrees(plain)) is not None:
        return Quantity(as_formula(str(angle)), angle, "degree")
    number, unit, factor, scale = _take_unit(text, plain)
    is_worded = _is_short_word(number) or _WORDED.search(number)
    if is_worded and not re.search(rf"[\\^_{{}}=]|\d|\A(?:{_MATH_WORD})(?![A-Za-z])", number):
        words = re.sub(r"\A(?:an?|the|there (?:is|are))\s+", "", " ".join(number.casefold().split()).strip(" .!"))
        return Words(words.removesuffix("s") if words.endswith("solutions") else words)
    exact = exact_value(number)
    if exact is None and (_NO_NUMBER.fullmatch(as_formula(number)) or _is_range(number)):
        return Words(plain.casefold())
    if factor == 1:
        return Quantity(as_formula(number), exact, unit)
    return Quantity(
        rf"\frac{{{factor.numerator}}}{{{factor.denominator}}}\cdot({as_formula(number)})",
        None if exact is None else exact * factor,
        unit,
        scale,
    )


def _is_short_word(text: str) -> bool:
    """Amy, USA, ten: three letters that are no product of variables. A product has its letters in order (xyz) or no
    vowel."""
    if not re.fullmatch("[A-Za-z]{3}", text) or re.fullmatch(_MATH_WORD, text):
        return False
    return text.isupper() or (
        re.search("[aeiou]", text.casefold()) is not None and (text[0].isupper() or list(text) != sorted(text))
    )


def _is_range(text: str) -> bool:
    """3-4, from the smaller to the greater; 4-3 is a calculation, and so is 3 - 4."""
    match = re.fullmatch(r"(\d{1,99})-(\d{1,99})", text)
    return match is not None and int(match[1]) < int(match[2])


def _take_unit(text: str, plain: str) -> tuple[str, str, Fraction, Fraction]:
    """The number's own text, the unit's one name, the factor of its scales (million, dozen, thirds), and that of the
    collective ones among them (dozen)."""
    text = re.sub(r"(?<=\d)\s*¢\Z", ' "cents"', text)
    text = re.sub(r"\A(.*\d)\s*([$£€¥₹])\Z", r"\2\1", re.sub(r"\AUSD?(?=\s*[\d$])", "$", text))
    currency = re.match(r"(-?)\s*([$£€¥₹])[\s$]*", text)
    if currency:
        text = plain = currency[1] + text[currency.end() :]
    if sign := _take_sign(text):
        return *sign, Fraction(1), Fraction(1)
    number, unit = _split_unit(text, plain)
    factor, scale, unit = _scales(unit)
    return _strip_number(number), canonical(f"{currency[2] if currency else ''} {unit}"), factor, scale


def _scales(unit: str) -> tuple[Fraction, Fraction, str]:
    """The factor of the scales that begin a unit, that of the collective ones among them, and the unit behind them."""
    factor = scale = Fraction(1)
    while match := _SCALE.match(unit):
        word = match[1].lower()
        if SCALES[word] < 1 < factor:
            break  # five hundred thousandths is no five hundred times a thousandth
        factor *= SCALES[word]
        scale *= SCALES[word] if {word, word.removesuffix("s")} & COLLECTIVES.keys() else 1
        unit = unit[match.end() :]
    return factor, scale, unit


def _take_sign(text: str) -> tuple[str, str] | None:
    """A percent or degree sign at the end; not the degree inside a function (sin 30 degrees is a number)."""
    for mark, name in ((r"%", "percent"), (r"\^\s*\{?\\circ\s*\}?", "degree")):
        if match := re.fullmatch(rf"(.*?)\s*{mark}\s*(?:\"?\s*([FCK])\s*\"?)?", text):
            if re.search(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])|\^\s*\\circ", match[1]):
                return None
            scale = {"F": " fahrenheit", "C": " celsius", "K": " kelvin"}.get(match[2], "")
            return _strip_number(match[1]), name + scale
    return None


def _split_unit(text: str, plain: str) -> tuple[str, str]:
    """Number and unit: the text behind a value, or plain words that can be no product of variables."""
    quote = text.find('"')
    is_unit_text = not _is_no_unit(text[quote:])
    if is_unit_text and re.search(r"[A-Za-z0-9)}]\s*(?:\\cdot)?\s*(?:\\frac\{)?\Z", text[: max(quote, 0)]):
        number = re.sub(r"(?:\\cdot)?\s*(?:\\frac\{)?\Z", "", text[:quote])
        return number, text[len(number) :]
    plain_unit = re.sub(r"(?<=[A-Za-z])\s*\\cdot\s*(?=[A-Za-z]+\s*\^\s*\{-)", " ", plain)  # m·s^{-1}
    if (match := _PLAIN_UNIT.fullmatch(plain_unit)) and not re.fullmatch(r"\([A-Z]\)", match[1]):  # an option's letter
        first, *_ = words = re.findall(r"[A-Za-z]+", match[2])
        is_rate = match[2].startswith("/")  # 5/day, but 5/m may be a fraction
        is_known = is_unit(first) and (len(first) > 1 or (plain_unit[match.end(1)].isspace() and not is_rate))
        is_noun = any(len(word) > 3 for word in words) or (
            plain_unit[match.end(1)].isspace() and re.fullmatch(r"[A-Za-z]{3}", first) and re.search("[aeiou]", first)
        )
        is_noun = is_noun and not is_rate
        is_noun = is_noun and len(first) > 1 and not re.fullmatch(_MATH_WORD, first)
        if (is_known or is_noun) and not _is_no_unit(match[2]):
            return match[1], match[2]
    return plain, ""


def _is_no_unit(text: str) -> bool:
    return _NO_UNIT.search(powers_marked(_scales(text)[2])) is not None


def _strip_number(text: str) -> str:
    return unwrap(text.replace('"', " "))

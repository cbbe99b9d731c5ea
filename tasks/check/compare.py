r"""Two read answers compared by their types; what needs a computer algebra system is asked of `algebra`.

Long, for a pair of types is one line of one table.
"""

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from tasks.check.answers import (
    Answer,
    Based,
    Choice,
    Clock,
    Listing,
    Matrix,
    Named,
    Ordered,
    Quantity,
    Ratio,
    Region,
    Relation,
    Words,
)
from tasks.check.notation import squeeze
from tasks.check.numerals import exact_value
from tasks.check.scalar import in_base

Algebra = Callable[[str, str], bool]
"""Whether two LaTeX formulas (gold, answer) state the same value, set or relation."""


def same(gold: Answer, answer: Answer, algebra: Algebra) -> bool:
    """Whether `answer` states what `gold` states; what it leaves out is supplied from `gold`."""
    match gold, answer:
        case Named(), Named():
            return _named(gold, answer, algebra)
        case Named(value=value), _ if not isinstance(answer, Relation):
            return same(value, answer, algebra)
        case _, Named(value=value) if not isinstance(gold, Relation):
            return same(gold, value, algebra)
        case Choice(), Choice():
            return gold.letter == answer.letter and same(gold.option, answer.option, algebra)
        case Choice(), _:
            return _is_letter(gold.letter, answer) or same(gold.option, answer, algebra)
        case _, Choice():
            return _is_letter(answer.letter, gold) or (not _are_choices([gold]) and same(gold, answer.option, algebra))
        case Quantity(), Quantity():
            return _quantities(gold, answer, algebra)
        case Listing(), Listing():
            return _unordered(gold, answer, algebra)
        case (Listing(), Ordered()) if _are_choices(gold.members):
            return _unordered(gold, Listing(answer.members), algebra)
        case Listing(is_set=False), Ordered(brackets="[]", members=[_, _, _, *_]):  # a list of Python, no interval
            return _unordered(gold, Listing(answer.members), algebra)
        case Ordered(brackets="[]", members=[_, _, _, *_]), Listing(is_set=False):
            return _pairwise(gold.members, answer.members, algebra)
        case (Listing(members=[only], is_set=True), _) if not _is_set(only):
            return same(only, answer, algebra)
        case (_, Listing(members=[only], is_set=True)) if not _is_set(only):
            return same(gold, only, algebra)
        case (Region(), Words()) | (Words(), Region()):
            return _empty(gold) and _empty(answer)
        case Ordered(), Ordered():
            return gold.brackets == answer.brackets and _pairwise(gold.members, answer.members, algebra)
        case (Ordered(), Listing()) | (Listing(), Ordered()):
            points = _coordinates(gold), _coordinates(answer)
            return all(isinstance(one, Ordered) for one in points) and same(*points, algebra)
        case Matrix(), Matrix():
            return len(gold.rows) == len(answer.rows) and all(
                map(lambda ours, theirs: _pairwise(ours, theirs, algebra), gold.rows, answer.rows)
            )
        case (Matrix(), Ordered(brackets="()")) | (Ordered(brackets="()"), Matrix()):
            return _pairwise(_entries(gold), _entries(answer), algebra)
        case Clock(), _:
            return _clocks(gold, answer)
        case Ratio(), Clock():
            return (read := _as_clock(gold)) is not None and _clocks(read, answer)
        case Ratio(), Ratio() | Quantity():
            return _ratios(gold, answer, algebra)
        case Quantity(), Ratio(parts=[_, _]):
            return _values(gold, _quotient(*answer.parts), algebra)
        case Based(), _:
            return _based(gold, answer)
        case Quantity(exact=value), Based():
            return value == answer.value
        case (Words(), _) | (_, Words()):
            return _wording(gold) == _wording(answer)
        case Region() | Ordered() | Relation(), Region() | Ordered() | Relation():
            return _regions(gold, answer, algebra)
        case (Region(), Listing()) | (Listing(), Region()):
            return _empty(gold) and _empty(answer)
        case Relation() | Named(), Relation() | Named():
            return algebra(gold.formula, answer.formula)
        case _:
            return False


_FIRST_PARTS = ("(a)", "(1)", "(i)")


def _quantities(gold: Quantity, answer: Quantity, algebra: Algebra) -> bool:
    """Same value and, where both name one, the same unit. % is 1/100, a degree pi/180, unless left out."""
    if gold.unit and answer.unit:
        return gold.unit == answer.unit and _values(gold, answer, algebra)
    if answer.unit == "percent":
        return _values(gold, _scaled(answer, Fraction(1, 100)), algebra)
    if _values(gold, answer, algebra):
        return True
    if gold.scale != 1 and answer.scale == 1 and not answer.unit:  # 5 dozen, and 5
        return _values(_scaled(gold, 1 / gold.scale), answer, algebra)
    if gold.unit == "percent":
        return _values(_scaled(gold, Fraction(1, 100)), answer, algebra)
    if gold.unit == "degree":
        return _values(_radians(gold), answer, algebra)
    return answer.unit == "degree" and _values(gold, _radians(answer), algebra)


def _values(gold: Quantity, answer: Quantity, algebra: Algebra) -> bool:
    if gold.exact is not None and answer.exact is not None:
        return gold.exact == answer.exact
    if gold.formula == answer.formula:
        return True
    if all(_IN_ORDER.search(one.formula) for one in (gold, answer)):
        return False
    return algebra(_formula(gold), _formula(answer))


_IN_ORDER = re.compile(
    r"\A(?:[A-Z](?:_\{\w+\})?(?:\^\{-?\w+\}|')?){2,}\Z"  # AB, HT, A^{-1}B
    r"|(?:[A-Z]|\\(?:vec|mathbf|hat|overrightarrow)\{[^{}]*\})(?:_\{\w+\})?\\times(?![A-Za-z])"
)
"""Products that may not commute, though algebra takes all letters for numbers: capitals side by side are matrices,
tosses or a name, and what is crossed with \\times are vectors or sets."""


def _formula(quantity: Quantity) -> str:
    """For algebra, to which 1e-7 is a product."""
    value = quantity.exact
    return quantity.formula if value is None else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _scaled(quantity: Quantity, factor: Fraction) -> Quantity:
    formula = rf"\frac{{{factor.numerator}}}{{{factor.denominator}}}\cdot({quantity.formula})"
    return Quantity(formula, None if quantity.exact is None else quantity.exact * factor)


def _radians(quantity: Quantity) -> Quantity:
    formula = rf"\frac{{\pi}}{{180}}\cdot({quantity.formula})"
    return Quantity(formula, None)


def _unordered(gold: Listing, answer: Listing, algebra: Algebra) -> bool:
    """Every member has its partner; in a set written with braces repeats do not count."""
    if gold.is_set or answer.is_set:

        def alike(one: Answer, other: Answer) -> bool:  # {{1}} holds a set, {1} a number
            return _is_set(one) == _is_set(other) and same(one, other, algebra)

        return all(any(alike(one, other) for other in answer.members) for one in gold.members) and all(
            any(alike(one, other) for one in gold.members) for other in answer.members
        )
    left = list(answer.members)
    if len(gold.members) != len(left):
        return False
    names, others = _distinct_names(gold), _distinct_names(answer)
    if names and set(names) == set(others):  # Ann = 5, Bob = 3
        partners = [left[others.index(name)] for name in names]
        return _pairwise(gold.members, partners, algebra)
    if (names and not others and names[0] in _FIRST_PARTS) or (others and not names and others[0] in _FIRST_PARTS):
        return _pairwise(gold.members, left, algebra)  # (a) 5 (b) 3, and 5, 3
    for one in gold.members:
        partner = next((other for other in left if same(one, other, algebra)), None)
        if partner is None:
            return False
        left.remove(partner)
    return True


def _distinct_names(answer: Listing) -> list[str]:
    """The names of all members, where each has one of its own; none where they only number roots (x_1, x_2)."""
    names = [one.name for one in answer.members if isinstance(one, Named)]
    are_distinct = len(names) == len(answer.members) == len(set(names))
    return names if are_distinct and not all(re.fullmatch(r"[kxyzrt]_\{\d\}", name) for name in names) else []


def _pairwise(gold: Sequence[Answer], answer: Sequence[Answer], algebra: Algebra) -> bool:
    return len(gold) == len(answer) and all(map(lambda one, other: same(one, other, algebra), gold, answer))


def _named(gold: Named, answer: Named, algebra: Algebra) -> bool:
    """Under one name the same value; of two variables the same equation (y = 2x + 3 is x = (y - 3)/2)."""
    are_calls = "(" in gold.name and "(" in answer.name
    if gold.name != answer.name and (are_calls or _is_sine(gold) or _is_sine(answer)):
        return False  # f(2) = 7 is not f(3) = 7, sin x = 1 is not x = 1
    if gold.name == answer.name or not (_is_variable(gold.name) and _is_variable(answer.name)):
        return same(gold.value, answer.value, algebra)
    is_line = isinstance(gold.value, Quantity) and gold.value.exact is None
    return is_line and isinstance(answer.value, Quantity) and algebra(gold.formula, answer.formula)


def _is_sine(answer: Named) -> bool:
    return re.match(r"\\(?:sin|cos|tan|cot|sec|csc)\(", answer.name) is not None


def _is_variable(name: str) -> bool:
    return len(name) == 1 or name.startswith("\\")


def _is_set(answer: Answer) -> bool:
    return isinstance(answer, Region) or (isinstance(answer, Listing) and answer.is_set)


def _coordinates(answer: Answer) -> Answer:
    """`y = 4, x = 3` as the point (3, 4); anything else as it is."""
    if not isinstance(answer, Listing):
        return answer
    named = [one for one in answer.members if isinstance(one, Named)]
    if len(named) != len(answer.members) or len({one.name for one in named}) != len(named):
        return answer
    return Ordered("()", tuple(one.value for one in sorted(named, key=lambda one: one.name)))


def _entries(answer: Answer) -> tuple[Answer, ...]:
    """The members of a point or a column vector."""
    if isinstance(answer, Ordered):
        return answer.members
    assert isinstance(answer, Matrix)
    return tuple(row[0] for row in answer.rows) if all(len(row) == 1 for row in answer.rows) else ()


def _is_letter(letter: str, answer: Answer) -> bool:
    return isinstance(answer, Quantity) and answer.formula == letter


def _are_choices(members: Sequence[Answer]) -> bool:
    return all(isinstance(one, Quantity) and len(one.formula) == 1 and one.formula.isupper() for one in members)


def _clocks(gold: Clock, answer: Answer) -> bool:
    """8:34 p.m. is 8:34 PM and 20:34; a.m. or p.m. may be left out like a unit."""
    match answer:
        case Ratio():
            answer = _as_clock(answer) or answer
        case Quantity(exact=Fraction(denominator=1) as hours_only, unit=""):
            answer = Clock(int(hours_only), 0)
    if not isinstance(answer, Clock) or gold.minute != answer.minute:
        return False
    if answer.half and (gold.half or gold.hour > 12):
        return _hour_of_day(gold) == _hour_of_day(answer)
    if answer.half:
        return gold.hour % 12 == answer.hour % 12
    return answer.hour in (gold.hour, _hour_of_day(gold))


def _hour_of_day(clock: Clock) -> int:
    return clock.hour % 12 + 12 * (clock.half == "p") if clock.half else clock.hour


def _as_clock(ratio: Ratio) -> Clock | None:
    """7:00 or 10:15, which may be a time of day."""
    if len(ratio.parts) != 2 or not _looks_like_time(ratio):
        return None
    return Clock(int(ratio.parts[0]), int(ratio.parts[1]))


def _looks_like_time(ratio: Ratio) -> bool:
    """Hours, minutes, seconds: two digits each, below 60, behind the first."""
    return re.fullmatch(r"\d{1,3}(?: [0-5]\d){1,2}", " ".join(ratio.parts)) is not None


def _ratios(gold: Ratio, answer: Ratio | Quantity, algebra: Algebra) -> bool:
    """3:5 is 6:10 and 3/5. Two times are equal only as times. A gold answer that looks like a time and could be reduced
    is a time: as a ratio it would have been reduced."""
    if _looks_like_time(gold):
        parts = [int(part) for part in gold.parts]
        if isinstance(answer, Ratio) and _looks_like_time(answer):
            return parts == [int(part) for part in answer.parts]
        if math.gcd(*parts) != 1:
            return isinstance(answer, Quantity) and parts[1:] == [0] and answer.exact == parts[0]
    if isinstance(answer, Quantity):
        return len(gold.parts) == 2 and _values(_quotient(*gold.parts), answer, algebra)
    return len(gold.parts) == len(answer.parts) and all(
        map(lambda one, other: _values(one, other, algebra), _proportions(gold), _proportions(answer))
    )


def _proportions(ratio: Ratio) -> list[Quantity]:
    """The other parts as multiples of the first."""
    return [_quotient(one, ratio.parts[0]) for one in ratio.parts[1:]]


def _quotient(over: str, under: str) -> Quantity:
    formula = rf"\frac{{{over}}}{{{under}}}"
    return Quantity(formula, exact_value(formula))


def _based(gold: Based, answer: Answer) -> bool:
    """Digits without a subscript are in the gold answer's base; with one, the values decide."""
    if isinstance(answer, Quantity | Words):
        digits = answer.formula if isinstance(answer, Quantity) else answer.text
        return in_base(digits, gold.base) == gold
    return isinstance(answer, Based) and answer.value == gold.value


def _wording(answer: Answer) -> str | None:
    match answer:
        case Words(text=text) | Quantity(formula=text):
            return squeeze(text.casefold())
    return None


def _regions(gold: Answer, answer: Answer, algebra: Algebra) -> bool:
    """Unions member by member in any order; algebra decides where they are cut differently."""
    match gold, answer:
        case Region(members=[_, *_]), Region() if _unordered(Listing(gold.members), Listing(answer.members), algebra):
            return True
    return algebra(_set_formula(gold), _set_formula(answer))


def _set_formula(answer: Answer) -> str:
    if isinstance(answer, Ordered):
        inside = ",".join(_set_formula(one) for one in answer.members)
        return f"{answer.brackets[0]}{inside}{answer.brackets[1]}"
    return answer.formula if isinstance(answer, Quantity | Region | Relation) else ""


def _empty(answer: Answer) -> bool:
    return answer in (Listing((), is_set=True), Region((), r"\emptyset"), Words("no solution"))

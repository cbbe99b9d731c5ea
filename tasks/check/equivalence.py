r"""Do two answers state the same thing? The conventions of the benchmark data's ANSWERS.md, on top of math-verify.

normalise (notation.py) -> typed answer (reading.py) -> comparison by type, here -> algebra (symbolic.py) for what is
left. A terminating decimal equals its fraction and nothing rounded is equal; what the gold answer has and the other
leaves out (a unit, a currency, a percent or degree sign, a base, a name before "=") is supplied from the gold answer;
what both give must agree; a percent or degree sign that is given counts.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from tasks.check import symbolic
from tasks.check.notation import last_boxed, normalise, squeeze
from tasks.check.numerals import exact_value
from tasks.check.reading import (
    Answer,
    Based,
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
    in_base,
    read,
)

LONGEST = 1_000
"""Characters: a longer answer is wrong unread. The longest reference answer of GSM8K or MATH has fewer than 200."""

Algebra = Callable[[str, str], bool]


class NeedsAlgebra(Exception):
    """The two answers cannot be told apart or matched without a computer algebra system."""


def extract_answer(text: str) -> str | None:
    r"""Content of the last complete \boxed{...} of a text (balanced braces), stripped; None when there is none."""
    boxed = last_boxed(text)
    return None if boxed is None else boxed.strip()


def is_equal(gold: str, answer: str, algebra: Algebra = symbolic.same_expression) -> bool:
    """Whether `answer` states the same final answer as `gold`.

    Not symmetric: what `answer` leaves out is supplied from `gold`. May take for ever on a hostile answer, so call it
    through `Checker`; `algebra` compares two LaTeX formulas.
    """
    if not gold.strip() or not answer.strip() or len(answer) > max(LONGEST, 2 * len(gold)):
        return False
    if is_same_text(gold, answer):
        return True
    try:
        return _equal(read(normalise(gold)), read(normalise(answer)), algebra)
    except RecursionError:  # brackets nested a thousand deep are no answer
        return False


def is_equal_at_sight(gold: str, answer: str) -> bool | None:
    """`is_equal` where it needs no algebra (plain numbers, words, choices, identical formulas), else None. Fast, total."""

    def give_up(gold: str, answer: str) -> bool:
        raise NeedsAlgebra

    try:
        return is_equal(gold, answer, give_up)
    except NeedsAlgebra:
        return None


def is_same_text(gold: str, answer: str) -> bool:
    """Whether both are the same string once written in one way: the exact check of `micro` and of multiple choice."""
    return _plain(gold) == _plain(answer)


def _plain(text: str) -> str:
    text = squeeze(normalise(text).replace('"', ""))
    return text[1:-1] if len(text) == 3 and text[0] == "(" and text[2] == ")" else text


def _equal(gold: Answer, answer: Answer, algebra: Algebra) -> bool:
    match gold, answer:
        case Named(), Named():
            return _named(gold, answer, algebra)
        case Named(value=value), _ if not isinstance(answer, Relation | Listing):
            return _equal(value, answer, algebra)
        case Named(value=value), Listing():
            return _equal(value, answer, algebra) or _equal(value, _coordinates(answer), algebra)
        case _, Named(value=value) if not isinstance(gold, Relation):
            return _equal(gold, value, algebra)
        case Quantity(), Quantity():
            return _quantities(gold, answer, algebra)
        case Listing(), Listing():
            return _unordered(gold, answer, algebra)
        case (Listing(), Ordered()) if _are_choices(gold.members) and _are_choices(answer.members):
            return _unordered(gold, Listing(answer.members), algebra)
        case (Listing(members=[only], is_set=True), _) | (_, Listing(members=[only], is_set=True)):
            return _equal(only, answer, algebra) if gold is not only and isinstance(gold, Listing) else _equal(gold, only, algebra)
        case Ordered(), Ordered():
            return gold.brackets == answer.brackets and _pairwise(gold.members, answer.members, algebra)
        case Ordered(), Listing():
            coordinates = _coordinates(answer)
            return isinstance(coordinates, Ordered) and _equal(gold, coordinates, algebra)
        case Matrix(), Matrix():
            return len(gold.rows) == len(answer.rows) and all(map(lambda g, a: _pairwise(g, a, algebra), gold.rows, answer.rows))
        case (Matrix(), Ordered(brackets="()")) | (Ordered(brackets="()"), Matrix()):
            return _pairwise(_entries(gold), _entries(answer), algebra)
        case Clock(), _:
            return _clocks(gold, answer)
        case Ratio(parts=[_, second]), Clock() if len(second) == 2:
            return gold.parts == (str(answer.hour), f"{answer.minute:02}")
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
        case (Region() | Ordered(), Region() | Ordered()):
            return _regions(gold, answer, algebra)
        case (Region(), Listing()) | (Listing(), Region()):
            return _empty(gold) and _empty(answer)
        case Relation() | Named(), Relation() | Named():
            return algebra(gold.formula, answer.formula)
        case _:
            return False


def _quantities(gold: Quantity, answer: Quantity, algebra: Algebra) -> bool:
    """Same value and, where both name a unit, the same unit. % is 1/100 and a degree pi/180, unless left out."""
    if gold.unit and answer.unit:
        return gold.unit == answer.unit and _values(gold, answer, algebra)
    if answer.unit == "percent":
        return _values(gold, _scaled(answer, Fraction(1, 100)), algebra)
    if _values(gold, answer, algebra):
        return True
    if gold.unit == "percent":
        return _values(_scaled(gold, Fraction(1, 100)), answer, algebra)
    if gold.unit == "degree":
        return _values(_radians(gold), answer, algebra)
    return answer.unit == "degree" and _values(gold, _radians(answer), algebra)


def _values(gold: Quantity, answer: Quantity, algebra: Algebra) -> bool:
    if gold.exact is not None and answer.exact is not None:
        return gold.exact == answer.exact
    return gold.formula == answer.formula or algebra(gold.formula, answer.formula)


def _scaled(quantity: Quantity, factor: Fraction) -> Quantity:
    formula = rf"\frac{{{factor.numerator}}}{{{factor.denominator}}}\cdot({quantity.formula})"
    return Quantity(formula, None if quantity.exact is None else quantity.exact * factor)


def _radians(quantity: Quantity) -> Quantity:
    return Quantity(rf"\frac{{\pi}}{{180}}\cdot({quantity.formula})", Fraction(0) if quantity.exact == 0 else None)


def _unordered(gold: Listing, answer: Listing, algebra: Algebra) -> bool:
    """Every member has its partner; in a set written with braces repeats do not count."""
    ours, theirs = gold.members, answer.members
    if gold.is_set or answer.is_set:
        ours, theirs = _distinct(ours, algebra), _distinct(theirs, algebra)
    left = list(theirs)
    if len(ours) != len(left):
        return False
    for one in ours:
        partner = next((other for other in left if one == other), None) or next(
            (other for other in left if _equal(one, other, algebra)), None
        )
        if partner is None:
            return False
        left.remove(partner)
    return True


def _distinct(members: Iterable[Answer], algebra: Algebra) -> tuple[Answer, ...]:
    kept: list[Answer] = []
    for one in members:
        if not any(one == other or _equal(other, one, algebra) for other in kept):
            kept.append(one)
    return tuple(kept)


def _pairwise(gold: Sequence[Answer], answer: Sequence[Answer], algebra: Algebra) -> bool:
    return len(gold) == len(answer) and all(_equal(one, other, algebra) for one, other in zip(gold, answer, strict=True))


def _named(gold: Named, answer: Named, algebra: Algebra) -> bool:
    """The same name: the same value. Two variables: an equation each (y = 2x + 3 is a line, as is x = (y - 3)/2)."""
    if gold.name == answer.name or not (_is_variable(gold.name) and _is_variable(answer.name)):
        return _equal(gold.value, answer.value, algebra)
    is_line = isinstance(gold.value, Quantity) and gold.value.exact is None
    return is_line and isinstance(answer.value, Quantity) and algebra(gold.formula, answer.formula)


def _is_variable(name: str) -> bool:
    return len(name) == 1 or name.startswith("\\")


def _coordinates(answer: Listing) -> Answer:
    """`y = 4, x = 3` as the point (3, 4)."""
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


def _are_choices(members: Sequence[Answer]) -> bool:
    return all(isinstance(one, Quantity) and len(one.formula) == 1 and one.formula.isupper() for one in members)


def _clocks(gold: Clock, answer: Answer) -> bool:
    """8:34 p.m. is 8:34 PM and 20:34; a.m. or p.m. may be left out like a unit."""
    if isinstance(answer, Ratio) and len(answer.parts) == 2 and all(part.isdecimal() for part in answer.parts):
        answer = Clock(int(answer.parts[0]), int(answer.parts[1]), "")
    elif isinstance(answer, Quantity) and answer.exact is not None and answer.exact.denominator == 1 and not answer.unit:
        answer = Clock(int(answer.exact), 0, "")
    if not isinstance(answer, Clock):
        return False
    hour = gold.hour % 12 + (12 if gold.half == "p" else 0)
    if answer.half:
        return (hour, gold.minute) == (answer.hour % 12 + (12 if answer.half == "p" else 0), answer.minute)
    return answer.minute == gold.minute and answer.hour in (gold.hour, hour)


def _ratios(gold: Ratio, answer: Ratio | Quantity, algebra: Algebra) -> bool:
    if isinstance(answer, Quantity):
        return len(gold.parts) == 2 and _values(_quotient(*gold.parts), answer, algebra)
    return len(gold.parts) == len(answer.parts) and all(
        _values(_quotient(one, gold.parts[0]), _quotient(other, answer.parts[0]), algebra)
        for one, other in zip(gold.parts[1:], answer.parts[1:], strict=True)
    )


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
    text = answer.text if isinstance(answer, Words) else answer.formula if isinstance(answer, Quantity) else None
    return None if text is None else "".join(text.casefold().split())


def _regions(gold: Region | Ordered, answer: Region | Ordered, algebra: Algebra) -> bool:
    """Unions member by member in any order; algebra decides where they are cut differently."""
    ours, theirs = _parts(gold), _parts(answer)
    if len(ours) == len(theirs) and _unordered(Listing(ours), Listing(theirs), algebra):
        return True
    return algebra(_set_formula(gold), _set_formula(answer))


def _parts(answer: Region | Ordered) -> tuple[Answer, ...]:
    return answer.members if isinstance(answer, Region) else (answer,)


def _set_formula(answer: Answer) -> str:
    if isinstance(answer, Region):
        return answer.formula
    if isinstance(answer, Ordered):
        return f"{answer.brackets[0]}{','.join(_set_formula(one) for one in answer.members)}{answer.brackets[1]}"
    return answer.formula if isinstance(answer, Quantity) else ""


def _empty(answer: Answer) -> bool:
    return answer == Listing((), is_set=True) or (isinstance(answer, Region) and answer.formula == r"\emptyset")

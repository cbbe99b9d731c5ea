"""What only algebra can decide: math-verify's parser reads the formulas, their values decide (enclosure.py).

Reading computes nothing, so a formula costs nothing before its price is known. Formulas with letters are compared at
random points. If they differ at one point they are different; if they agree at all they are the same function (Schwartz
1980, Zippel 1979). Sympy works out integrals, limits and endless sums first. That can take for ever, so pool.py limits
the time of its workers. Importing sympy takes half a second.
"""

import random
from collections.abc import Iterator
from typing import Any

import sympy
from flint import fmpq
from sympy.core.function import AppliedUndef

from tasks.check.enclosure import NoValue, Point, Undecidable, differ, enclose, minus, times, vanishes
from tasks.check.formula import parse

_BOUNDLESS = (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)
_HARD = (sympy.Integral, sympy.Limit, sympy.Derivative, sympy.Sum, sympy.Product)
_POSITIVE, _ANY = (1,), (1, -1, -1)
_SIGNS = [_POSITIVE, _POSITIVE, _POSITIVE, _ANY, _ANY, _ANY]
"""Of the points where two formulas with letters are compared. Positive ones first: there logarithms and roots have
their usual values."""
_NUMERATORS, _DENOMINATOR = range(10**6, 3 * 10**6), 1_000_003
ENOUGH = 2
"""Points at which two formulas have the same value."""
_WARM = r"\sqrt{8}+1", r"1+2\sqrt{2}"


def load() -> None:
    """Warm the parser, so that no timeout pays for it."""
    same_expression(*_WARM)


def same_expression(gold: str, answer: str) -> bool:
    """Do two LaTeX formulas without decimals state the same value, set, matrix or relation? Unreadable ones do not.

    Raises:
        Undecidable: it can't be found out at a bearable cost.
    """
    trees = parse(gold), parse(answer)
    return None not in trees and _same(*(_worked_out(tree) for tree in trees))


def _worked_out(tree: Any) -> Any:
    """Without integrals, limits and endless sums, where sympy knows their values."""
    return tree.replace(lambda part: isinstance(part, _HARD), _value)


def _value(part: Any) -> Any:
    """Of one of the `_HARD`. A long sum of anything but powers is refused: sympy would add it up for ever."""
    if not isinstance(part, sympy.Sum | sympy.Product) or part.has(sympy.oo, -sympy.oo):
        return part.doit()
    try:
        enclose(part, {})
        return part
    except (Undecidable, NoValue):
        if isinstance(part, sympy.Sum) and part.function.is_polynomial(*part.variables):
            return part.doit()
        raise Undecidable("a series of too many terms") from None


def _same(gold: Any, answer: Any) -> bool:
    match gold, answer:
        case sympy.Expr(), sympy.Expr():
            return _same_value(gold, answer)
        case sympy.MatrixBase(), sympy.MatrixBase():
            return gold.shape == answer.shape and all(map(_same_value, gold.flat(), answer.flat()))
        case sympy.Equality() | sympy.Unequality(), sympy.Equality() | sympy.Unequality():
            return type(gold) is type(answer) and _proportion(gold, answer) is not None
        case (sympy.Equality(), sympy.Rel()) | (sympy.Rel(), sympy.Equality()):
            return False  # a circle is no disc
        case sympy.Rel(), sympy.Rel():
            return _same_inequality(gold, answer) or _same_set(gold, answer)
    return _same_set(gold, answer)


def _same_value(gold: Any, answer: Any) -> bool:
    """The same number, or the same function at all points where both have a value."""
    if gold.has(*_BOUNDLESS) or answer.has(*_BOUNDLESS):
        if gold.has(*_HARD) or answer.has(*_HARD):
            raise Undecidable("sympy knows no value for it")
        return gold.has(sympy.oo, -sympy.oo) and bool(gold.doit() == answer.doit())
    unknowns = _unknowns(gold, answer)
    if not unknowns:
        try:
            return not differ(gold, answer, {})
        except NoValue:
            return False
    seen = 0
    for place, point in enumerate(_points(unknowns)):
        try:
            if not differ(gold, answer, point):
                seen += 1
            elif _SIGNS[place] == _POSITIVE or all(_is_real(one, point) for one in (gold, answer)):
                return False
        except (Undecidable, NoValue):
            continue
    if seen < ENOUGH:
        raise Undecidable("no two points where both formulas have a value")
    return True


def _unknowns(*trees: Any) -> list[Any]:
    """Variables and unknown functions, f(x) as a whole; i is the imaginary unit."""
    found = set[Any]().union(*(tree.atoms(AppliedUndef) | tree.free_symbols for tree in trees))
    return sorted((one for one in found if str(one) != "i"), key=str)


def _points(unknowns: list[Any]) -> Iterator[Point]:
    """Always the same for the same names, so that a verdict can be had again."""
    for seed, signs in enumerate(_SIGNS):
        draw = random.Random(seed)
        yield {one: fmpq(draw.choice(_NUMERATORS) * draw.choice(signs), _DENOMINATOR) for one in unknowns}


def _is_real(tree: Any, point: Point) -> bool:
    return bool(enclose(tree, point).ball.imag.contains(0))


def _proportion(gold: Any, answer: Any) -> int | None:
    """The sign of the constant k in gold.lhs - gold.rhs = k (answer.lhs - answer.rhs), None where there is none."""
    ours, theirs = (_numerator(one) for one in (gold, answer))
    unknowns = _unknowns(gold, answer)
    if not unknowns:
        return None
    first, *others = _points(unknowns)
    try:
        ours_first, theirs_first = enclose(ours, first), enclose(theirs, first)
        if ours_first.ball.contains(0) or theirs_first.ball.contains(0):
            return None
        for point in others:
            here = point
            if not vanishes(
                lambda here=here: minus(  # type: ignore[misc]
                    times(enclose(ours, here), enclose(theirs, first)),
                    times(enclose(theirs, here), enclose(ours, first)),
                )
            ):
                return None
    except NoValue:
        return None
    return 1 if (ours_first.ball / theirs_first.ball).real > 0 else -1


def _numerator(relation: Any) -> Any:
    """lhs - rhs; of an equation without its denominators."""
    difference = sympy.Add(relation.lhs, sympy.Mul(-1, relation.rhs, evaluate=False), evaluate=False)
    if isinstance(relation, sympy.Equality | sympy.Unequality):
        return sympy.fraction(sympy.together(difference))[0]
    return difference


def _same_inequality(gold: Any, answer: Any) -> bool:
    def is_strict(relation: Any) -> bool:
        return isinstance(relation, sympy.StrictLessThan | sympy.StrictGreaterThan)

    def is_upward(relation: Any) -> bool:
        return isinstance(relation, sympy.GreaterThan | sympy.StrictGreaterThan)

    sign = 1 if is_upward(gold) == is_upward(answer) else -1
    return is_strict(gold) == is_strict(answer) and _proportion(gold, answer) == sign


def _same_set(gold: Any, answer: Any) -> bool:
    """Two sets of numbers, a relation standing for the set where it holds."""
    sets = []
    for one in (gold, answer):
        if not isinstance(one, sympy.Set):
            if not hasattr(one, "as_set"):
                return False
            try:
                one = one.as_set()
            except (NotImplementedError, TypeError, ValueError, AttributeError):
                return False
        sets.append(one)
    ours, theirs = sets
    return bool(ours == theirs or ours.symmetric_difference(theirs) == sympy.S.EmptySet)

"""Decides whether two closed formulas are the same number: by exact fractions while they are cheap, else by balls.

A ball (midpoint and radius, Arb) surely holds the value, so balls that do not meet prove a difference, at any size. A
separation bound proves equality (Burnikel, Funke, Mehlhorn, Schirra and Schmitt, ESA 2001): an expression of integers,
+ - * / and k-th roots is 0 or farther from 0 than 1 / (over^(degree - 1) * under). For log, sin and pi no bound is
known: agreement to as many digits counts as equality.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
from flint import acb, arb, fmpq, fmpz

Point = Mapping[Any, fmpq]
"""A value for every symbol of a formula."""

EXACT_BITS = 1 << 20
"""Longest numerator or denominator that is computed; a larger number is a ball."""
LONGEST_BALL = 1 << 18
"""Bits: closer together than this, two balls are not told apart."""
MOST_TERMS = 2_000
"""Of a sum or product that is added up term by term."""


class Undecidable(Exception):
    """Whether two formulas agree cannot be found out at a bearable cost."""


class NoValue(Exception):
    """The formula has no value: a division by zero."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A value, exact (`fmpq`) or a ball (`acb`). For the separation bound: log2 of its bounds `over` and `under`, and
    its roots by degree."""

    value: Any
    over: float
    under: float
    roots: frozenset[tuple[Any, int]] = frozenset()

    @property
    def ball(self) -> acb:
        return acb(self.value)

    @property
    def bits_to_zero(self) -> float:
        """-log2 of the smallest absolute value that it can have without being zero."""
        degree = math.prod(order for _, order in self.roots)
        return ((degree - 1) * self.over if degree > 1 else 0.0) + self.under


def differ(gold: Any, answer: Any, point: Point) -> bool:
    """Whether two sympy trees have different values at a point.

    Raises:
        Undecidable: a function that is not known here, or a number beyond all bounds.
        NoValue: one of them is divided by zero.
    """
    try:
        return not vanishes(lambda: plus(enclose(gold, point), negative(enclose(answer, point))))
    except Undecidable:
        for order in range(3):
            sizes = [log_size(one, point, order) for one in (gold, answer)]
            if all(size.is_finite() for size in sizes) and not sizes[0].overlaps(sizes[1]):
                return True
        raise


def vanishes(compute: Callable[[], Enclosed]) -> bool:
    """Whether a number is zero; `compute` encloses it at flint's current precision.

    Raises:
        Undecidable: it is neither proved to be zero nor told apart from it.
    """
    bits, needed = 64, 0.0
    while bits <= LONGEST_BALL:
        with flint.ctx.workprec(bits):
            found = compute()
            if isinstance(found.value, fmpq):
                return bool(found.value == 0)
            if not found.ball.is_finite():
                if bits > 64:
                    break
            elif not found.ball.contains(0):
                return False
            else:
                needed = found.bits_to_zero
                if found.ball.abs_upper() < arb(2) ** -math.ceil(min(needed + 64, 2.0 * LONGEST_BALL)):
                    return True
        bits = max(2 * bits, math.ceil(min(needed, LONGEST_BALL)) if bits == 64 else 0)
    raise Undecidable("neither equal nor different as far as the digits go")


def enclose(tree: Any, point: Point) -> Enclosed:
    """The value of a sympy tree, which need not be evaluated."""
    name = type(tree).__name__
    if tree.is_Rational:
        return exact(fmpq(int(tree.p), int(tree.q)))
    if tree.is_Float:
        return exact(fmpq(*Fraction(str(tree)).as_integer_ratio()))
    if tree.is_Symbol or tree in point:
        return _unknown(tree, point)
    match name:
        case "Add":
            return functools.reduce(plus, (enclose(one, point) for one in tree.args))
        case "Mul":
            return functools.reduce(times, (enclose(one, point) for one in tree.args))
        case "Pow":
            return _power(tree, *(enclose(one, point) for one in tree.args))
        case "Sum" | "Product":
            return _series(tree, plus if name == "Sum" else times, point)
        case "ImaginaryUnit":
            return Enclosed(acb(0, 1), 0.0, 0.0, frozenset({(tree, 2)}))
        case "Pi" | "Exp1":
            return _outcome(acb.pi() if name == "Pi" else acb(1).exp())
        case "UnevaluatedExpr":
            return enclose(tree.args[0], point)
        case "Mod":
            return _residue(tree, point)
    if name not in _FUNCTIONS:
        raise Undecidable(f"{name} is not computed")
    given = [enclose(one, point) for one in tree.args]
    if name in ("factorial", "binomial") and (counted := _counted(name, given)) is not None:
        return counted
    if name == "log" and any(one.value == 0 for one in given):
        raise NoValue
    return _outcome(_FUNCTIONS[name](*(one.ball for one in given)), given)


def exact(value: fmpq) -> Enclosed:
    return Enclosed(value, _log2(value.p), _log2(value.q))


def negative(one: Enclosed) -> Enclosed:
    return Enclosed(-one.value, one.over, one.under, one.roots)


def plus(one: Enclosed, other: Enclosed) -> Enclosed:
    over = max(one.over + other.under, other.over + one.under) + 1
    return _combined(operator.add, one, other, over)


def times(one: Enclosed, other: Enclosed) -> Enclosed:
    return _combined(operator.mul, one, other, one.over + other.over)


def _combined(operate: Callable[[Any, Any], Any], one: Enclosed, other: Enclosed, over: float) -> Enclosed:
    is_cheap = one.over + one.under + other.over + other.under < EXACT_BITS
    if isinstance(one.value, fmpq) and isinstance(other.value, fmpq) and is_cheap:
        return exact(operate(one.value, other.value))
    return Enclosed(operate(one.ball, other.ball), over, one.under + other.under, one.roots | other.roots)


def _power(tree: Any, base: Enclosed, exponent: Enclosed) -> Enclosed:
    power = exponent.value
    if not isinstance(power, fmpq):
        if base.value == 0:
            raise Undecidable("a power of zero")
        return _outcome(base.ball**power, [base, exponent])
    if base.value == 0 and power < 0:
        raise NoValue
    over, under = (base.over, base.under) if power >= 0 else (base.under, base.over)
    # As a float: the bound of a tower is infinite, not an integer without end.
    times_over = float(abs(power.p)) if _log2(power.p) < 1000 else math.inf
    over, under = (times_over * part if part else 0.0 for part in (over, under))
    if power.q == 1:
        if isinstance(base.value, fmpq) and over + under < EXACT_BITS:
            return exact(base.value ** int(power.p))
        return Enclosed(base.ball ** acb(power), over, under, base.roots)
    order = int(power.q)
    if over >= under:
        over = (over + (order - 1) * under) / order
    else:
        under = (under + (order - 1) * over) / order
    if base.ball.imag == 0 and base.ball.real < 0 and order % 2:  # the cube root of -8 is -2, as at school
        value = (-base.ball) ** acb(power)
        value = -value if power.p % 2 else value
    else:
        value = base.ball ** acb(power)
    if tree.args[1].free_symbols:  # a function at a point drawn, 2^n: the root's degree means nothing
        return _outcome(value, [base, exponent])
    return Enclosed(value, over, under, base.roots | {(tree, order)})


def _series(tree: Any, combine: Callable[[Enclosed, Enclosed], Enclosed], point: Point) -> Enclosed:
    term, (index, first, last) = tree.args[0], tree.args[1]
    bounds = [enclose(one, point).value for one in (first, last)] if first.is_finite and last.is_finite else []
    if len(tree.args) != 2 or not bounds or not all(isinstance(one, fmpq) and one.q == 1 for one in bounds):
        raise Undecidable(f"{type(tree).__name__} without plain bounds is not computed")
    start, end = (int(one.p) for one in bounds)
    if end - start >= MOST_TERMS:
        raise Undecidable(f"{type(tree).__name__} of more than {MOST_TERMS} terms is not computed")
    empty = exact(fmpq(0 if combine is plus else 1))
    terms = (enclose(term, {**point, index: fmpq(place)}) for place in range(start, end + 1))
    return functools.reduce(combine, terms, empty)


def _residue(tree: Any, point: Point) -> Enclosed:
    dividend, divisor = tree.args
    modulus = enclose(divisor, point).value
    if modulus == 0:
        raise NoValue
    if dividend.is_Pow and isinstance(modulus, fmpq) and modulus.q == 1:
        base, power = (enclose(one, point).value for one in dividend.args)
        if all(isinstance(one, fmpq) and one.q == 1 for one in (base, power)) and power >= 0:
            return exact(fmpq(pow(int(base.p), int(power.p), int(modulus.p))))
    value = enclose(dividend, point).value
    if not isinstance(value, fmpq) or not isinstance(modulus, fmpq):
        raise Undecidable("the remainder of a number that is not computed")
    return exact(value - modulus * (value / modulus).floor())


def _counted(name: str, given: list[Enclosed]) -> Enclosed | None:
    """A factorial or binomial of small integers."""
    if not all(isinstance(one.value, fmpq) and one.value.q == 1 and 0 <= one.value < 10_000 for one in given):
        return None
    numbers = [int(one.value.p) for one in given]
    return exact(fmpq(math.factorial(*numbers) if name == "factorial" else math.comb(*numbers)))


def _unknown(tree: Any, point: Point) -> Enclosed:
    if str(tree) == "i":
        return Enclosed(acb(0, 1), 0.0, 0.0, frozenset({("i", 2)}))
    if tree not in point:
        raise Undecidable(f"{tree} is not known")
    return exact(point[tree])


def _outcome(value: acb, given: Iterable[Enclosed] = ()) -> Enclosed:
    """Of a function without a separation bound: twice the digits of what it was given, and 64 bits more."""
    slack = 64 + 2 * sum(one.over + one.under for one in given)
    roots = frozenset[tuple[Any, int]]().union(*(one.roots for one in given))
    size = value.abs_upper()
    over = float(size.log()) / math.log(2) if size.is_finite() and size > 1 else 0.0
    return Enclosed(value, over + slack, slack, roots)


def log_size(tree: Any, point: Point, order: int = 0) -> arb:
    """ln |value|, or for a higher `order` its own logarithm's size again: for towers whose value no ball can hold."""
    name = type(tree).__name__
    if order and (size := _log(log_size(tree, point, order - 1))).is_finite():
        return size
    if name == "exp" or (tree.is_Pow and tree.args[0].is_number):
        exponent = tree.args[-1]
        of_base = arb(1) if name == "exp" else log_size(tree.args[0], point)
        if not order:
            return enclose(exponent, point).ball.real * of_base
        size = log_size(exponent, point, order - 1)
        return size + (_log(of_base) if order == 1 else (_log(of_base) * (-size).exp()).log1p())
    if order:
        return arb("nan")
    match name:
        case "Mul":
            return functools.reduce(operator.add, (log_size(one, point) for one in tree.args))
        case "factorial":
            return (enclose(tree.args[0], point).ball + 1).lgamma().real
        case "gamma":
            return enclose(tree.args[0], point).ball.lgamma().real
        case "Add":
            sizes = sorted((log_size(one, point) for one in tree.args), key=lambda size: float(size.mid()))
            rest = functools.reduce(operator.add, ((size - sizes[-1]).exp() for size in sizes[:-1]), arb(0))
            return sizes[-1] + (1 + rest * arb(0, 1)).log()
    return _log(arb(abs(enclose(tree, point).ball)))


def _log(size: arb) -> arb:
    return arb("-inf") if size == 0 else abs(size).log()


def _log2(number: fmpz) -> float:
    return float(number.bit_length()) if abs(number) > 1 else 0.0


def _of_gamma(total: acb, part: acb) -> acb:
    return (total + 1).gamma() * (part + 1).rgamma() * (total - part + 1).rgamma()


def _real(function: str) -> Callable[[acb], acb]:
    return lambda value: acb(getattr(value.real, function)()) if value.imag == 0 else acb("nan")


def _extreme(choose: Callable[[arb, arb], arb], values: Sequence[acb]) -> acb:
    if any(value.imag != 0 for value in values):
        return acb("nan")
    return acb(functools.reduce(choose, (value.real for value in values)))


_ANALYTIC = ["sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan"]
_ANALYTIC += ["sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh"]
_FUNCTIONS: dict[str, Callable[..., acb]] = {
    "exp": acb.exp,
    "log": lambda value, base=None: value.log() if base is None else value.log() / base.log(),
    "Abs": lambda value: acb(abs(value)),
    "Max": lambda *values: _extreme(arb.max, values),
    "Min": lambda *values: _extreme(arb.min, values),
    "floor": _real("floor"),
    "ceiling": _real("ceil"),
    "re": lambda value: acb(value.real),
    "im": lambda value: acb(value.imag),
    "conjugate": acb.conjugate,
    "arg": lambda value: acb(value.arg()),
    "factorial": lambda value: (value + 1).gamma(),
    "gamma": acb.gamma,
    "binomial": _of_gamma,
    **{name: getattr(acb, name) for name in _ANALYTIC},
}

"""Decides whether two closed formulas are the same number: by exact fractions while they are cheap, else by balls.

A ball (midpoint and radius, Arb) surely holds the value, so balls that do not meet prove a difference, at any size. A
separation bound proves equality (Burnikel, Funke, Mehlhorn, Schirra and Schmitt, ESA 2001): an expression of integers,
+ - * / and k-th roots is 0 or farther from 0 than 1 / (over^(degree - 1) * under). For log, sin and pi no bound is
known: agreement to as many digits counts as equality. Fractions, balls and bound walk one kind of tree: one file.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import flint
from flint import acb, arb, fmpq, fmpz

Point = Mapping[Any, fmpq]
"""A value for every symbol of a formula."""

EXACT_BITS = 1 << 20
"""Longest numerator or denominator that is computed; a larger number is a ball."""
LONGEST_BALL = 1 << 18
"""Bits: closer together than this, two balls are not told apart."""
PRECISIONS = [1 << place for place in range(6, 19)]
"""Bits of a ball, one after the other, from 64 to the longest."""
MOST_TERMS = 2_000
"""Of a sum or product that is added up term by term."""
LARGEST_COUNTED = 10_000
"""Its factorial is computed exactly."""
SLACK = 64
"""Bits to which two values agree by chance."""


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
        return not vanishes(lambda: minus(enclose(gold, point), enclose(answer, point)))
    except Undecidable:
        for size in (log_size, log_log_size):
            if not size(gold, point).overlaps(size(answer, point)):
                return True
        raise


def vanishes(compute: Callable[[], Enclosed]) -> bool:
    """Whether a number is zero; `compute` encloses it at flint's current precision.

    Raises:
        Undecidable: it is neither proved to be zero nor told apart from it.
    """
    for bits in PRECISIONS:
        with flint.ctx.workprec(bits):
            found = compute()
            if isinstance(found.value, fmpq):
                return bool(found.value == 0)
            if not found.ball.is_finite():
                if bits == PRECISIONS[0]:
                    continue  # a divisor that is not told apart from zero yet
                break
            if not found.ball.contains(0):
                return False
            if found.ball.abs_upper() < arb(2) ** -arb(found.bits_to_zero):
                return True
    raise Undecidable("neither equal nor different as far as the digits go")


def enclose(tree: Any, point: Point) -> Enclosed:
    """The value of a sympy tree, which need not be evaluated."""
    name = type(tree).__name__
    if tree.is_Rational:
        return exact(fmpq(int(tree.p), int(tree.q)))
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
            return IMAGINARY_UNIT
        case "Pi":
            return _outcome(acb.pi())
        case "Exp1":
            return _outcome(acb(1).exp())
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


IMAGINARY_UNIT = Enclosed(acb(0, 1), 0.0, 0.0, frozenset({("i", 2)}))


def plus(one: Enclosed, other: Enclosed) -> Enclosed:
    return _combined(operator.add, one, other, _over_of_sum(one, other))


def minus(one: Enclosed, other: Enclosed) -> Enclosed:
    return _combined(operator.sub, one, other, _over_of_sum(one, other))


def times(one: Enclosed, other: Enclosed) -> Enclosed:
    return _combined(operator.mul, one, other, one.over + other.over)


def _over_of_sum(one: Enclosed, other: Enclosed) -> float:
    return max(one.over + other.under, other.over + one.under) + 1


def _combined(operate: Callable[[Any, Any], Any], one: Enclosed, other: Enclosed, over: float) -> Enclosed:
    is_cheap = _are_short(one.over, one.under, other.over, other.under)
    if isinstance(one.value, fmpq) and isinstance(other.value, fmpq) and is_cheap:
        return exact(operate(one.value, other.value))
    return Enclosed(operate(one.ball, other.ball), over, one.under + other.under, one.roots | other.roots)


def _are_short(*bits: float) -> bool:
    return sum(bits) < EXACT_BITS


def _power(tree: Any, base: Enclosed, exponent: Enclosed) -> Enclosed:
    power = exponent.value
    if not isinstance(power, fmpq):
        return _outcome(base.ball**power, [base, exponent])
    if base.value == 0 and power < 0:
        raise NoValue
    over, under = (base.over, base.under) if power >= 0 else (base.under, base.over)
    times_over = float(abs(arb(power.p)))  # the bound of a tower is infinite, not an integer without end
    over, under = times_over * over, times_over * under
    if power.q == 1:
        if isinstance(base.value, fmpq) and _are_short(over, under):
            return exact(base.value ** int(power.p))
        return Enclosed(base.ball ** acb(power), over, under, base.roots)
    order = int(power.q)
    # The root leaves the smaller bound as it is: either it is taken of a / b as root(a b^(k-1)) / b, or as
    # a / root(a^(k-1) b).
    over, under = (min(part, (part + (order - 1) * other) / order) for part, other in ((over, under), (under, over)))
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
    bounds = [enclose(one, point).value for one in (first, last)]
    if len(tree.args) != 2 or not all(isinstance(one, fmpq) and one.q == 1 for one in bounds):
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
    if not all(isinstance(one.value, fmpq) and one.value.q == 1 and 0 <= one.value <= LARGEST_COUNTED for one in given):
        return None
    numbers = [int(one.value.p) for one in given]
    return exact(fmpq(math.factorial(*numbers) if name == "factorial" else math.comb(*numbers)))


def _unknown(tree: Any, point: Point) -> Enclosed:
    if str(tree) == "i":
        return IMAGINARY_UNIT
    if tree not in point:
        raise Undecidable(f"{tree} is not known")
    return exact(point[tree])


def _outcome(value: acb, given: Iterable[Enclosed] = ()) -> Enclosed:
    """Of a function without a separation bound: its own size, the digits of what it was given, and some bits more."""
    slack = SLACK + sum(one.over + one.bits_to_zero for one in given)
    size = float(abs(value).log_base(2))  # NaN, which max leaves out, where the value may be zero
    return Enclosed(value, max(slack, slack + size), max(slack, slack - size))


def log_size(tree: Any, point: Point) -> arb:
    """ln |value|, also of a number that no ball can hold."""
    match type(tree).__name__:
        case "exp":
            return enclose(tree.args[0], point).ball.real
        case "Pow":
            return enclose(tree.args[1], point).ball.real * log_size(tree.args[0], point)
        case "Mul":
            return functools.reduce(operator.add, (log_size(one, point) for one in tree.args))
        case "factorial":
            return (enclose(tree.args[0], point).ball + 1).lgamma().real
        case "gamma":
            return enclose(tree.args[0], point).ball.lgamma().real
        case "Add":
            *sizes, largest = sorted(log_size(one, point) for one in tree.args)
            rest = functools.reduce(operator.add, ((size - largest).exp() for size in sizes))
            return largest + (rest * _UP_TO_ONE).log1p()
    return _log(abs(enclose(tree, point).ball))


def log_log_size(tree: Any, point: Point) -> arb:
    """ln |ln |value||, for towers whose exponent no ball can hold."""
    match type(tree).__name__:
        case "exp":
            return log_size(tree.args[0], point)
        case "Pow":
            return log_size(tree.args[1], point) + _log(log_size(tree.args[0], point))
    return _log(log_size(tree, point))


def _log(size: arb) -> arb:
    return _NOTHING if size == 0 else abs(size).log()


def _log2(number: fmpz) -> float:
    return float(number.bit_length()) if abs(number) > 1 else 0.0


def _of_gamma(total: acb, part: acb) -> acb:
    return (total + 1).gamma() * (part + 1).rgamma() * (total - part + 1).rgamma()


def _on_the_line(compute: Callable[..., arb], *values: acb) -> acb:
    """A function of real numbers."""
    if all(value.imag == 0 for value in values):
        return acb(compute(*(value.real for value in values)))
    return _UNDEFINED


_UP_TO_ONE, _NOTHING, _UNDEFINED = arb(0, 1), arb.neg_inf(), acb(arb.nan())
_ANALYTIC = ["sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan"]
_ANALYTIC += ["sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh"]
_FUNCTIONS: dict[str, Callable[..., acb]] = {
    "exp": acb.exp,
    "log": lambda value, base=None: value.log() if base is None else value.log() / base.log(),
    "Abs": lambda value: acb(abs(value)),
    "Max": lambda *values: functools.reduce(functools.partial(_on_the_line, arb.max), values),
    "Min": lambda *values: functools.reduce(functools.partial(_on_the_line, arb.min), values),
    "floor": functools.partial(_on_the_line, arb.floor),
    "ceiling": functools.partial(_on_the_line, arb.ceil),
    "re": lambda value: acb(value.real),
    "im": lambda value: acb(value.imag),
    "conjugate": acb.conjugate,
    "arg": lambda value: acb(value.arg()),
    "factorial": lambda value: (value + 1).gamma(),
    "gamma": acb.gamma,
    "binomial": _of_gamma,
    **{name: getattr(acb, name) for name in _ANALYTIC},
}

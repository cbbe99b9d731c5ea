"""Numbers are told apart by balls that surely hold them, and proved equal by a bound on how near zero they can come."""

import functools
import math

import flint
import pytest
import sympy
from flint import arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.check import enclosure
from tasks.check.enclosure import (
    LONGEST_BALL,
    Enclosed,
    NoValue,
    Undecidable,
    differ,
    enclose,
    exact,
    log_log_size,
    log_size,
    plus,
    times,
)

x, i = sympy.symbols("x i", real=True)  # the parser's i is the imaginary unit


EAGER = ["factorial", "binomial", "gamma", "floor", "ceiling", "Max", "Min", "Mod"]  # whatever parse_expr is told


def tree(text: str) -> sympy.Expr:
    """A sympy expression, nothing of it computed."""
    lazy = {name: functools.partial(getattr(sympy, name), evaluate=False) for name in EAGER}
    return sympy.parse_expr(text, evaluate=False, local_dict=lazy | {"x": x, "i": i})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sqrt(2)*sqrt(2)", "2"),
        ("sqrt(2) + sqrt(3)", "sqrt(5 + 2*sqrt(6))"),
        ("(1 + sqrt(5))**50/2**50 + (1 - sqrt(5))**50/2**50", "28143753123"),
        ("2**(1/3)*4**(1/3)", "2"),
        ("(-8)**(1/3)", "-2"),
        ("(-8)**(2/3)", "4"),
        ("sin(pi/6)", "1/2"),
        ("exp(log(3)/2)", "sqrt(3)"),
        ("(-8)**(1/2)", "I*sqrt(8)"),
        ("(1/8)**(1/3)", "1/2"),
        ("I*I", "-1"),
        ("I*i", "-1"),
        ("log(E)", "1"),
        ("sqrt(2)*0", "0"),
        ("0**sqrt(2)", "0"),
        ("sqrt(2) + 1/10**15000", "(sqrt(2)*10**15000 + 1)/10**15000"),
        ("factorial(20000)/factorial(19999)", "20000"),
        ("binomial(50, 25)", "factorial(50)/factorial(25)**2"),
        ("floor(sqrt(10**40 + 1))", "10**20"),
        ("0**0", "1"),
        ("x**2 - 1", "(x - 1)*(x + 1)"),
    ],
)
def test_equal_numbers_are_proved_equal(one: str, other: str) -> None:
    assert not differ(tree(one), tree(other), {x: fmpq(5, 7)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sqrt(2) + 1/10**5000", "sqrt(2)"),
        ("1/factorial(200)", "1/factorial(300)"),
        ("1 - 1/2**2015", "1 + 1/2**2015"),
        ("sqrt(2) + sqrt(3) + sqrt(5)", "538233/100000"),
        ("exp(pi*sqrt(163))", "262537412640768744"),
        ("9**(9**(9**9))", "5"),
        ("1/9**(9**(9**9))", "0 + 1/5"),
        ("exp(exp(exp(exp(10))))", "10**1000"),
        ("factorial(10**20)", "7"),
        ("9**(9**(9**9)) + 1", "7"),
        ("9**(9**(9**(9**9)))", "0"),
        ("9**(9**(9**(9**9)))", "1"),
        ("factorial(factorial(factorial(9)))", "7"),
        ("gamma(factorial(factorial(9)))", "7"),
        ("1 + exp(-1000)", "1"),
        ("1 + exp(1000)**(-1)", "1"),
        ("exp(-1000)", "exp(-1000) - exp(-2000)"),
        ("(1 + 1/10**200)**pi", "1"),
        ("(1 + 1/10**200)**x", "1"),
        ("exp(1/10**200)", "1"),
        ("exp(sqrt(2) + sqrt(3) - sqrt(5 + 2*sqrt(6)) + 1/10**200)", "1"),
        ("1/(sqrt(2) + 1/10**30 - sqrt(2))", "10**30 + 1"),
        ("I", "1"),
        ("(-8)**(1/2)", "8**(1/2)"),
        ("x**2", "x**3"),
    ],
)
def test_different_numbers_are_told_apart_however_near_or_large(one: str, other: str) -> None:
    assert differ(tree(one), tree(other), {x: fmpq(5, 7)})


@pytest.mark.parametrize(
    "one",
    [
        "9**(9**(9**9)) - 9**(9**(9**9))",
        "Integral(sin(x)/x, (x, 1, 2))",
        "zeta(3)",
        "f(3)",
        "1/(sin(1)**2 + cos(1)**2 - 1)",
    ],
)
def test_what_is_not_computed_is_undecidable_and_not_wrong(one: str) -> None:
    with pytest.raises(Undecidable):
        differ(tree(one), tree("5"), {x: fmpq(1)})


@pytest.mark.parametrize("one", ["1/0", "0**(-2)", "log(0)", "5 + 1/(2 - 2)"])
def test_a_division_by_zero_has_no_value(one: str) -> None:
    with pytest.raises(NoValue):
        differ(tree(one), tree("5"), {})


@pytest.mark.parametrize(
    ("one", "value"),
    [
        ("Mod(3**(10**9), 7)", fmpq(pow(3, 10**9, 7))),
        ("Mod(3**0, 7)", fmpq(1)),
        ("Mod(3**(-1), 7)", fmpq(1, 3)),
        ("Mod((9/2)**2, 7)", fmpq(25, 4)),
        ("Mod(3**5, 7/2)", fmpq(3, 2)),
        ("Mod(-7, 3)", fmpq(2)),
        ("Mod(9/2, 1)", fmpq(1, 2)),
        ("Mod(9/2, 2)", fmpq(1, 2)),
        ("Mod(x, 1/2)", fmpq(3, 14)),
        ("Mod(3**x, 0)", None),
    ],
)
def test_the_remainder_of_a_power_is_computed_without_the_power(one: str, value: fmpq | None) -> None:
    if value is None:
        with pytest.raises(NoValue):
            enclose(tree(one), {x: fmpq(5, 7)})
    else:
        assert enclose(tree(one), {x: fmpq(5, 7)}).value == value


def test_short_series_are_added_up_and_long_ones_refused() -> None:
    assert enclose(tree("Sum(x**2, (x, 1, 100))"), {}).value == 338350
    assert enclose(tree("Product(x, (x, 1, 5))"), {}).value == 120
    assert enclose(tree("Sum(x, (x, 5, 4))"), {}).value == 0
    assert enclose(tree("Sum(x, (x, 1, 2000))"), {}).value == 2001000
    assert enclose(tree("Sum(binomial(4, x), (x, 0, 4))"), {}).value == 16
    assert enclose(tree("Sum(x*y, (x, 1, y))"), {sympy.Symbol("y"): fmpq(3)}).value == 18
    for refused in (
        "Sum(x, (x, 1, 2001))", "Sum(x, (x, 1, oo))", "Sum(x, (x, -oo, 1))", "Sum(x, (x, 1, 5/2))",
        "Sum(x, (x, 1, sqrt(5)))", "Sum(x + y, (x, 1, 2), (y, 1, 2))",
    ):  # fmt: skip
        with pytest.raises(Undecidable):
            enclose(tree(refused), {})


def test_what_would_be_long_when_written_out_is_a_ball(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosure, "EXACT_BITS", 64)
    long, short = exact(fmpq(2**70)), exact(fmpq(1))
    part = exact(fmpq(1, 2**70))
    for one, other in ((long, short), (short, long), (part, short), (short, part)):
        assert not is_exact(plus(one, other))
    assert is_exact(plus(exact(fmpq(2**30)), exact(fmpq(2**30))))  # 31 bits each
    assert not is_exact(plus(exact(fmpq(2**31)), exact(fmpq(2**31))))
    assert is_exact(enclose(tree("(3/2)**15"), {}))
    assert not is_exact(enclose(tree("(3/2)**16"), {}))
    assert not is_exact(enclose(tree("2**40"), {}))
    assert not is_exact(enclose(tree("(1/2)**40"), {}))


@pytest.mark.parametrize("one", ["factorial(0)", "factorial(10000)", "binomial(10000, 1)", "binomial(5, 0)"])
def test_what_can_be_counted_is_counted_exactly(one: str) -> None:
    assert is_exact(enclose(tree(one), {}))


def is_exact(number: Enclosed) -> bool:
    return isinstance(number.value, fmpq)


def test_the_bound_of_zero_follows_the_expression() -> None:
    assert exact(fmpq(1, 1024)).bits_to_zero == 11  # bits of the denominator
    root = enclose(tree("sqrt(2)"), {})
    assert (root.over, root.under, root.bits_to_zero) == (1.0, 0.0, 1.0)  # log2 of 2 is 2 bits, halved; degree 2
    difference = plus(root, exact(fmpq(-3, 2)))
    assert difference.bits_to_zero >= 4  # 3/2 - sqrt 2 is 2**-3.5
    assert times(root, root).roots == root.roots  # one root of degree two, not two
    assert enclose(tree("sqrt(2)*3**(1/3)"), {}).bits_to_zero > root.bits_to_zero


@pytest.mark.parametrize(
    ("one", "over", "under", "degree"),
    [
        ("sqrt(2)**3", 3, 0, 2),
        ("sqrt(2)**(-3)", 0, 3, 2),
        ("(2/3)**(1/2)", 2, 2, 2),
        ("8**(3/4)", 3, 0, 4),
        ("(1/8)**(3/4)", 0, 3, 4),
        ("(sqrt(2)/8)**(1/3)", 1, 2, 6),
        ("(sqrt(2)/8)**(-1/3)", 2, 1, 6),
        ("sqrt(2) + 1/8", 6, 4, 2),
        ("1/8 + 4*sqrt(2)", 9, 4, 2),
        ("sqrt(2)*(1/8)", 1, 4, 2),
        ("I*sqrt(2)", 1, 0, 4),
    ],
)
def test_the_bounds_of_roots_are_those_of_the_paper(one: str, over: float, under: float, degree: int) -> None:
    """In bits: 2 and 3 have two, 8 has four; a k-th root divides them, over and under what it is taken of."""
    found = enclose(tree(one), {})
    assert (found.over, found.under, math.prod(order for _, order in found.roots)) == (over, under, degree)
    assert found.bits_to_zero == (degree - 1) * over + under


integers = st.integers(-20, 20).map(str)
NUMBERS = st.recursive(
    integers,
    lambda numbers: (
        st.tuples(numbers, st.sampled_from("+-*"), numbers).map(lambda parts: f"({' '.join(parts)})")
        | st.tuples(numbers, st.integers(1, 9)).map(lambda parts: f"({parts[0]})/{parts[1]}")
        | st.tuples(numbers, st.sampled_from(["1/2", "1/3", "2/3", "3/2", "2"])).map(
            lambda parts: f"({parts[0]})**({parts[1]})"
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(NUMBERS)
def test_no_number_is_nearer_to_zero_than_its_bound(number: str) -> None:
    with flint.ctx.workprec(2000):
        found = enclose(tree(number), {})
        if found.bits_to_zero < 1500 and not found.ball.contains(0):
            assert found.ball.abs_lower() >= arb(2) ** -math.ceil(found.bits_to_zero)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gamma(5)", "24"),
        ("binomial(1/2, 2)", "-1/8"),
        ("binomial(20000, 2)", "199990000"),
        ("binomial(5, 2)", "10"),
        ("binomial(x, 3)", "(5/7)*(-2/7)*(-9/7)/6"),
        ("factorial(5)", "120"),
        ("factorial(1/2)", "sqrt(pi)/2"),
        ("factorial(9999)/factorial(9998)", "9999"),
        ("factorial(10001)/factorial(10000)", "10001"),
        ("floor(-7/2)", "-4"),
        ("ceiling(7/2)", "4"),
        ("re(3 + 4*I)", "3"),
        ("im(3 + 4*I)", "4"),
        ("Abs(3 + 4*I)", "5"),
        ("arg(I)", "pi/2"),
        ("conjugate(I)", "-I"),
        ("Max(1, 3, 2)", "3"),
        ("Min(3, 1, 2)", "1"),
        ("log(8, 2)", "3"),
        ("(sqrt(2) + 1)**(-1)", "sqrt(2) - 1"),
        ("2**sqrt(2)*2**(-sqrt(2))", "1"),
        ("x**(-2)", "(7/5)**2"),
        ("3**x*3**x", "9**x"),
        ("UnevaluatedExpr(x)", "5/7"),
    ],
)
def test_every_function_has_its_value(one: str, other: str) -> None:
    assert not differ(tree(one), tree(other), {x: fmpq(5, 7)})


@pytest.mark.parametrize(
    "one", ["floor(i)", "ceiling(i*x)", "Max(1, i)", "Min(i, 1)", "Mod(pi*x, 3)", "Mod(x, pi)", "Mod(2**x, 7)"]
)
def test_what_has_no_place_on_the_line_is_undecidable(one: str) -> None:
    with pytest.raises(Undecidable):
        differ(tree(one), tree("5"), {x: fmpq(5, 7)})


@pytest.mark.parametrize(
    "one",
    ["exp(x)", "7**x", "x**3", "-2*3*x", "factorial(x + 3)", "gamma(x + 3)", "exp(5) + exp(3)", "exp(5) - exp(3)",
     "exp(3) + exp(5*x) + exp(6)", "x", "2**(3**(4*x))", "exp(exp(x))"],
)  # fmt: skip
def test_sizes_are_logarithms(one: str) -> None:
    point = {x: fmpq(5, 7)}
    logarithm = abs(enclose(tree(one), point).ball).log()
    size, of_size = log_size(tree(one), point), log_log_size(tree(one), point)
    assert size.overlaps(logarithm)
    assert size.rad() < 0.5
    assert of_size.overlaps(abs(logarithm).log())
    assert of_size.rad() < 0.5


def test_sizes_of_towers_are_compared_by_logarithms() -> None:
    assert log_size(tree("9**(9**9)"), {}).overlaps(9**9 * log_size(tree("9"), {}))
    assert log_log_size(tree("exp(exp(exp(10)))"), {}).overlaps(enclose(tree("exp(10)"), {}).ball.real)


def test_numbers_too_close_for_the_longest_ball_are_left_undecided() -> None:
    with pytest.raises(Undecidable):
        differ(tree(f"pi + 1/2**{2 * LONGEST_BALL}"), tree("pi"), {})

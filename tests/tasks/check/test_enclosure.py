"""Numbers are told apart by balls that surely hold them, and proved equal by a bound on how near zero they can come."""

import math

import flint
import pytest
import sympy
from flint import arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.check.enclosure import LONGEST_BALL, NoValue, Undecidable, differ, enclose, exact, log_size, plus, times

x, i = sympy.symbols("x i", real=True)  # the parser's i is the imaginary unit


def tree(text: str) -> sympy.Expr:
    """A sympy expression, nothing of it computed."""
    return sympy.parse_expr(text, evaluate=False, local_dict={"x": x, "i": i})


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
        ("I*I", "-1"),
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


def test_the_remainder_of_a_power_is_computed_without_the_power() -> None:
    assert enclose(tree("Mod(3**(10**9), 7)"), {}).value == pow(3, 10**9, 7)
    assert enclose(tree("Mod(-7, 3)"), {}).value == 2
    assert enclose(tree("Mod(7/2, 3)"), {}).value == fmpq(1, 2)


def test_short_series_are_added_up_and_long_ones_refused() -> None:
    assert enclose(tree("Sum(x**2, (x, 1, 100))"), {}).value == 338350
    assert enclose(tree("Product(x, (x, 1, 5))"), {}).value == 120
    assert enclose(tree("Sum(x, (x, 5, 4))"), {}).value == 0
    assert enclose(tree("Sum(x, (x, 1, 2000))"), {}).value == 2001000
    with pytest.raises(Undecidable):
        enclose(tree("Sum(x, (x, 1, 2001))"), {})


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


@settings(deadline=None, max_examples=200)
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
    ],
)
def test_every_function_has_its_value(one: str, other: str) -> None:
    assert not differ(tree(one), tree(other), {x: fmpq(5, 7)})


@pytest.mark.parametrize(
    "one", ["floor(i)", "ceiling(i*x)", "Max(1, i)", "Min(i, 1)", "0**sqrt(2)", "Mod(pi*x, 3)", "Mod(x, pi)"]
)
def test_what_has_no_place_on_the_line_is_undecidable(one: str) -> None:
    with pytest.raises(Undecidable):
        differ(tree(one), tree("5"), {x: fmpq(5, 7)})


def test_sizes_of_towers_are_compared_by_logarithms() -> None:
    assert log_size(tree("9**(9**9)"), {}).overlaps(9**9 * log_size(tree("9"), {}))
    assert log_size(tree("exp(exp(exp(10)))"), {}, 1).overlaps(enclose(tree("exp(10)"), {}).ball.real)
    assert log_size(tree("exp(exp(exp(10)))"), {}, 2).overlaps(arb(10))


def test_numbers_too_close_for_the_longest_ball_are_left_undecided() -> None:
    with pytest.raises(Undecidable):
        differ(tree(f"pi + 1/2**{2 * LONGEST_BALL}"), tree("pi"), {})

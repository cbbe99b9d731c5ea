"""Numbers are told apart by balls that surely hold them, and proved equal by a bound on how near zero they can come."""

import pytest
import sympy
from flint import arb, fmpq

from tasks.check.enclosure import LONGEST_BALL, NoValue, Undecidable, differ, enclose, exact, log_size, plus, times

x = sympy.Symbol("x", real=True)


def tree(text: str) -> sympy.Expr:
    """A sympy expression, nothing of it computed."""
    return sympy.parse_expr(text, evaluate=False, local_dict={"x": x})


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


def test_sizes_of_towers_are_compared_by_logarithms() -> None:
    assert log_size(tree("9**(9**9)"), {}).overlaps(9**9 * log_size(tree("9"), {}))
    assert log_size(tree("exp(exp(exp(10)))"), {}, 1).overlaps(enclose(tree("exp(10)"), {}).ball.real)
    assert log_size(tree("exp(exp(exp(10)))"), {}, 2).overlaps(arb(10))


def test_numbers_too_close_for_the_longest_ball_are_left_undecided() -> None:
    with pytest.raises(Undecidable):
        differ(tree(f"pi + 1/2**{2 * LONGEST_BALL}"), tree("pi"), {})

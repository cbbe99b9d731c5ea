"""Whatever is written: one value in any writing is equal, two values in no writing, and no text is an accident."""

import re
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.check import is_equal
from tasks.check.equivalence import is_equal_at_sight

settings.register_profile("answers", max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("answers")

integers = st.integers(-10_000_000, 10_000_000)
fractions = st.fractions(max_denominator=200).map(lambda value: value % 1000 - 500)


def writings(value: Fraction) -> list[str]:
    """Ways to write a fraction, by people and by models."""
    over, under = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    found = [
        rf"{sign}\frac{{{over}}}{{{under}}}",
        rf"${sign}\dfrac{{{over}}}{{{under}}}$",
        f"{sign}{over}/{under}",
        rf"\boxed{{{sign}{2 * over}/{2 * under}}}",
        rf"x = \frac{{{sign}{over}}}{{{under}}}",
        rf"{sign}\frac{{{over}}}{{{under}}}\text{{ cm}}",
        rf"\left({sign}{over}\right) \div {under}".replace(r"\div", "÷"),
        f"f(2) = {sign}{over}/{under}",
    ]
    whole, rest = divmod(over, under)
    if whole and rest:
        found += [rf"{sign}{whole}\frac{{{rest}}}{{{under}}}", f"{sign}{whole} {rest}/{under}"]
    if under == 1:
        found += [f"{sign}{over:,}", f"{sign}{over}.0", f"{sign}{over} cm", f"{sign}{over} (cm)"]
        found += [f"−{over}" if sign else f"{over}", rf"{sign}{over:,}".replace(",", r",\!")]
    if 10**6 % under == 0:
        found += [f"{float(value):.6f}", f"≈ {float(value):.6f}"]
    return found


@given(fractions, st.data())
def test_every_writing_of_a_number_is_that_number(value: Fraction, data: st.DataObject) -> None:
    gold, answer = data.draw(st.sampled_from(writings(value))), data.draw(st.sampled_from(writings(value)))
    assert is_equal(gold, answer), (gold, answer)


@given(fractions, fractions, st.data())
def test_no_writing_of_a_number_is_another_number(one: Fraction, other: Fraction, data: st.DataObject) -> None:
    gold, answer = data.draw(st.sampled_from(writings(one))), data.draw(st.sampled_from(writings(other)))
    assert is_equal(gold, answer) == (one == other), (gold, answer)


@given(integers, st.integers(1, 6))
def test_digits_apart_are_not_the_number_that_they_would_make(number: int, place: int) -> None:
    digits = str(abs(number) + 10)
    place = min(place, len(digits) - 1)
    apart = f"{digits[:place]} {digits[place:]}"
    is_grouped = len(digits) - place == 3 and len(digits) < 7  # 12 345 is 12,345
    assert is_equal(digits, apart) == is_grouped, apart


@st.composite
def calculations(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction]:
    """A calculation in LaTeX with its value."""
    if not depth or draw(st.booleans()):
        number = draw(st.integers(0, 30))
        return str(number), Fraction(number)
    (one, left), (other, right) = draw(calculations(depth - 1)), draw(calculations(depth - 1))
    kind = draw(st.sampled_from(["+", "-", "*", "/", "^"]))
    if kind == "/" and right:
        return rf"\frac{{{one}}}{{{other}}}", left / right
    if kind == "^":
        power = draw(st.integers(0, 9))
        return rf"\left({one}\right)^{{{power}}}", left**power
    if kind == "*":
        return rf"\left({one}\right)\cdot\left({other}\right)", left * right
    if kind == "-":
        return rf"\left({one}\right)-\left({other}\right)", left - right
    return rf"{one} + {other}", left + right


@given(calculations())
def test_a_calculation_is_its_value_and_nothing_near_it(calculation: tuple[str, Fraction]) -> None:
    formula, value = calculation
    if len(formula) > 200:
        return
    assert is_equal(f"{value.numerator}/{value.denominator}", formula), (value, formula)
    near = value + Fraction(1, 10**80)
    assert not is_equal(f"{near.numerator}/{near.denominator}", formula)


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 3, 5, 7, 11]), st.integers(2, 4))
def test_powers_of_roots_are_equal_to_their_expansion_exactly(a: int, b: int, c: int, power: int) -> None:
    rational, irrational = 1, 0  # (a + b sqrt c)^power
    for _ in range(power):
        rational, irrational = rational * a + irrational * b * c, rational * b + irrational * a
    formula = rf"\left({a}+{b}\sqrt{{{c}}}\right)^{{{power}}}"
    assert is_equal(formula, rf"{rational}+{irrational}\sqrt{{{c}}}")
    assert not is_equal(formula, rf"{rational}+{irrational}\sqrt{{{c}}}+10^{{-90}}")
    assert not is_equal(formula, f"{rational + irrational * c**0.5:.12f}")


@given(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from("xyt"))
def test_a_polynomial_is_its_expansion(a: int, b: int, letter: str) -> None:
    product = rf"\left({letter}-({a})\right)\left({letter}-({b})\right)"
    assert is_equal(rf"{letter}^2-({a + b}){letter}+({a * b})", product)
    assert not is_equal(rf"{letter}^2-({a + b}){letter}+({a * b + 1})", product)


SCRAPS = re.findall(
    r"\S+",
    r"""1 2 12 345 . , - + / \frac { } ( ) [ ] x y \pi \sqrt ^ _ = < > \le \in \cup $ % \% \text{ ° ' ½ ² ₁ ≈ ： : ! **
    and or to \pm \ldots ... \overline{3} 0. \begin{matrix} \end{matrix} & \\ A (A) B. e i p.m. 7:00 3-4 € \$ cm ~
    \binom \log_2 f(2) {,} Answer: \mathbb{R} \{ \} \mid \infty 5 apples""",
)


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(SCRAPS), min_size=1, max_size=40),
    st.sampled_from(["", " "]),
    st.sampled_from(["5", "2 1/4", "(1,2)", "x+1", "7:00", "A", "3:5", r"50\%", "yes"]),
)
def test_scraps_are_read_without_an_accident(pieces: list[str], between: str, gold: str) -> None:
    text = between.join(pieces)
    assert is_equal_at_sight(gold, text) in (True, False, None)
    assert is_equal_at_sight(text, gold) in (True, False, None)
    assert not text.strip() or is_equal_at_sight(text, text)

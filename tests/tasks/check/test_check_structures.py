r"""A value is the same value wherever it stands: in a list, a point, a set or a matrix, behind a name or a letter."""

import pytest

from tasks.check import is_equal
from tasks.check.equivalence import is_equal_at_sight
from tasks.check.reading import read

PLACES = [
    ("x=@", "x=@"),
    ("x=@", "@"),
    ("@", "x=@"),
    ("A. @", "(A) @"),
    ("A. @", "@"),
    ("@", "(A) @"),
    ("@, 1", "1, @"),
    ("(a) @ (b) 1", "@, 1"),
    ("(a) @ (b) 1", "(a) @; (b) 1"),
    (r"\{@\}", "@"),
    ("@", r"\{@\}"),
    (r"\{@,1\}", r"\{1,@\}"),
    (r"\{\{@,1\},2\}", r"\{2,\{1,@\}\}"),
    ("(@,1)", "( @, 1 )"),
    ("(@,1)", "y=1, x=@"),
    ("y=1, x=@", "(@,1)"),
    ("(x,y)=(@,1)", "y=1, x=@"),
    ("@:1", "@ : 1"),
    ("@:1", "@"),
    ("@", "@:1"),
    (r"@\text{ cm}", r"@\text{ centimeters}"),
    (r"@\text{ cm}", "@"),
    (r"@\%", r"@ \text{ percent}"),
    (r"\frac{@}{100}", r"@\%"),
    (r"@\%", r"\frac{@}{100}"),
    (r"(0,@)\cup(5,6)", r"(5,6)\cup(0,@)"),
    (r"\begin{pmatrix}@\\1\end{pmatrix}", r"\begin{bmatrix}@\\1\end{bmatrix}"),
    (r"\begin{pmatrix}@\\1\end{pmatrix}", "(@,1)"),
    ("(@,1)", r"\begin{pmatrix}@\\1\end{pmatrix}"),
]


@pytest.mark.parametrize(("gold", "answer"), PLACES)
def test_a_root_is_compared_by_its_value_wherever_it_stands(gold: str, answer: str) -> None:
    assert is_equal(gold.replace("@", r"\sqrt{8}"), answer.replace("@", r"2\sqrt{2}"))
    assert not is_equal(gold.replace("@", r"\sqrt{8}"), answer.replace("@", r"3\sqrt{2}"))


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("0.5", r"50\%", True),
        (r"50\%", "1/2", True),
        (r"50\%", "0.05", False),
        ("3:4", "0.75", True),
        ("3:5", "6:10", True),
        ("3/4", "6:8", True),
        ("2 million", "2,000,000", True),
        ("(22,5)", "(22.0, 5)", True),
        (r"(1,2)\cup(3,\pi)", r"(3,\pi)\cup(1,2)", True),
        ("101_2", "5_{10}", True),
        ("A. 5", "5.0", True),
        ("1.50x", "1.5x", True),
        ("0.5x", ".5x", True),
        (r"5\%", r"(5)\%", True),
        (r"-5\%", r"-\text{5}\%", True),
        ("5", "2+3=5", True),
        ("8 p.m.", "6:00+2=8 p.m.", True),
        ("(4,6)", "(1,2)+(3,4)=(4,6)", True),
        (r"x\ge 3", r"3\le x", True),
        (r"x\ne 3", r"3\ne x", True),
        (r"-2<x\le 7", r"7\ge x>-2", True),
        ("30^\\circ 15'", "30.25^\\circ", True),
        (r"\pm\sqrt{2}", r"\sqrt{2}, -\sqrt{2}", True),
        (r"\sqrt{8}", r"2\sqrt{2}", None),
        (r"\sqrt{8}", r"3\sqrt{2}", None),
    ],
)
def test_plain_values_need_no_algebra(gold: str, answer: str, equal: bool | None) -> None:
    assert is_equal_at_sight(gold, answer) is equal


def test_a_lower_and_an_upper_bound_are_an_interval_unless_one_of_them_is_enough() -> None:
    assert is_equal_at_sight("1<x<2", "x > 1; x < 2")
    assert read("x > 1; x < 2").formula == "x > 1; x < 2"  # type: ignore[union-attr]
    assert is_equal_at_sight("1<x<2", "x > 1; or x < 2") is False


def test_a_name_that_is_written_as_text_is_that_name() -> None:
    assert is_equal_at_sight("time=1, speed=5", r"\text{speed}=5, \text{time}=1")
    assert is_equal_at_sight("time=5, speed=1", r"\text{speed}=5, \text{time}=1") is False

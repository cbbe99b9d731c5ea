"""The types of answers: reading.py reads a normalised text as one of them, compare.py compares them."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Quantity:
    """A number or formula: LaTeX, its exact value where it is a plain number, its unit ("" where none is named), and
    what a collective word (dozen) made of the number as it is written."""

    formula: str
    exact: Fraction | None
    unit: str = ""
    scale: Fraction = Fraction(1)


@dataclass(frozen=True)
class Based:
    """An integer or fraction written in another base, such as 37_8."""

    value: Fraction
    base: int


@dataclass(frozen=True)
class Clock:
    hour: int
    minute: int
    half: str = ""
    """"a" or "p", "" where it is not named."""


@dataclass(frozen=True)
class Ratio:
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Text, and what looks like numbers but is none: a date, a version, a range, digits apart."""

    text: str


@dataclass(frozen=True)
class Choice:
    """A lettered option with what stands behind the letter: "(C) 5"."""

    letter: str
    option: "Answer"


@dataclass(frozen=True)
class Listing:
    """Members in no order: roots, chosen options ("list"), or a set in braces, where repeats do not count
    ("set")."""

    members: tuple["Answer", ...]
    is_set: bool = False


@dataclass(frozen=True)
class Ordered:
    """Members between brackets: a point, a tuple, or an interval ("(" ... "]")."""

    brackets: str
    members: tuple["Answer", ...]


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple["Answer", ...], ...]


@dataclass(frozen=True)
class Region:
    """A set of numbers made of several: union, difference, a named set. `formula` is for algebra."""

    members: tuple["Answer", ...]
    formula: str


@dataclass(frozen=True)
class Named:
    """`name = value` (or `name` in a region): the name may be left out."""

    name: str
    value: "Answer"
    formula: str


@dataclass(frozen=True)
class Relation:
    """An equation or inequality that is not of the form `name = value`."""

    formula: str


Answer = Quantity | Based | Clock | Ratio | Words | Choice | Listing | Ordered | Matrix | Region | Named | Relation

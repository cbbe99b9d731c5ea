r"""Answer checking: `Checker` for a run, `extract_answer` for a text, `is_equal` for one pair (it may hang).

An answer is right when it states the same final answer as the gold answer: the same value or object. All conventions:

Writing does not matter: LaTeX, plain or Unicode; spaces, brackets round the whole, `$…$`, a final stop, "the answer
is", Markdown's bold; `x =`, `f(2) =`, `Area =` before a value (but f(2) = 7 is not f(3) = 7); "≈" before a value, and
what stands behind it where an exact value stands before it.

Exact means exact. A terminating or recurring decimal, 0.(3), is its fraction; nothing rounded is equal to what it was
rounded from, and no tolerance is given anywhere. Numbers are compared as fractions or as enclosures (enclosure.py).
Digits apart are no number: "1 2" is not 12 and "2 1/4" is 9/4, but 22 500 is 22,500. Dates, versions and ranges (3-4)
are text. An odd root of a negative number is the real one. A slash between two numbers is a fraction: 1/2x is x/2.

What the gold answer has and the other leaves out is supplied from it: a unit, also in brackets, "9 (apples)"; a
currency; a percent or degree sign; a.m. or p.m.; a base (bare digits are in the gold answer's); a name before "=". What
both give must agree; nothing is converted. A percent sign that is given counts: 50% is 0.5.

Where each of several values has a name of its own (Ann = 5, Bob = 3), or is a part's, (a) 5 (b) 3, names decide. Words
that deny or change a number are no unit: "5 is wrong", "5 squared".

Lists and sets have no order; points, ratios, matrices and intervals have, and brackets of intervals count. Ratios may
be multiplied, times of day may not: 3:5 is 6:10, 7:00 is not 6:00. "±" stands for both values.

Formulas with letters are equal as functions of real variables, equations and inequalities up to a factor. Letters of
options are "A", "(A)", "A." or "A. with its text"; who names two, or denies one, has chosen none. Words are compared
without case, space and article.

A comparison that no bearable cost decides is UNDECIDED, and so is whatever goes wrong with one answer.
"""

from tasks.check.equivalence import extract_answer, is_equal
from tasks.check.pool import Checker, Verdict

__all__ = ["Checker", "Verdict", "extract_answer", "is_equal"]

"""Answer checking: `Checker` for a run, `extract_answer` for a text, `is_equal` for one pair (it may hang).

An answer is right when it states the same final answer as the gold answer: the same value or object. The conventions,
with examples, stand in tasks/check/README.md.
"""

from tasks.check.equivalence import extract_answer, is_equal
from tasks.check.pool import Checker, Verdict

__all__ = ["Checker", "Verdict", "extract_answer", "is_equal"]

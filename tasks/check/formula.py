r"""Reads a LaTeX formula as an unevaluated sympy tree, by math-verify's parser, and mends that parser's errors."""

import re
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig

from tasks.check.enclosure import Undecidable
from tasks.check.notation import depth

_LEFT_OUT = re.compile(
    r"""['"?@#;`~$]|[^\x00-\x7f]|\d\s+[\d.]|\d_|\\[lc]?dots(?![A-Za-z])|\\(?:in|angle|wedge|vee)(?![A-Za-z])"""
)
"""The parser reads 5'11 and 5 11 as 511, 3_2 as 3, 0.12\\ldots as 0.12, and \\angle as a factor in any place."""
# Factors side by side get their sign: the parser reads 2(3) and (2)(3) as mixed numbers, 5.
_BINOMIAL = re.compile(r"\\binom\{[^{}]*\}\{[^{}]*\}")
_FACTORS = re.compile(r"(?<=[\d)])(?=\(|\{|\\frac)|(?<=\))(?=\d)")
DEEPEST = 20
"""Nested brackets: the parser's time doubles with each."""

# Units are ours to judge: the library's own cleaning drops the letters t, h, s, c, l as units, also as variables.
_SPELLING = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none")
_READING = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=False)


@lru_cache(maxsize=512)
def parse(latex: str) -> Any | None:
    """The formula as an unevaluated sympy tree; None where the parser can't read it or would leave something out."""
    if _LEFT_OUT.search(latex):
        return None
    if depth(latex) > DEEPEST:
        raise Undecidable(f"brackets nested deeper than {DEEPEST}")
    latex = _FACTORS.sub(r"\\cdot ", _BINOMIAL.sub(r"(\g<0>)", latex))
    try:
        tree = latex2sympy(latex, is_real=True, normalization_config=_SPELLING, conversion_config=_READING)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # it raises plain Exceptions, and others from within, for what is no formula
        return None
    if isinstance(tree, sympy.FiniteSet) and len(tree) == 1:
        return tree.args[0]  # braces round a value
    return tree

"""What only algebra can decide, asked of math-verify. It may hang or crash, so pool.py runs it in workers.

math-verify's own timeouts need SIGALRM in a main thread, so they are off; its numbers are made exact before
(decimals become fractions), because it compares floats after rounding to six digits.
"""

import logging
from functools import lru_cache
from typing import Any


def load() -> None:
    """Import math-verify and sympy (about half a second) and warm the parser, so that no timeout pays for it."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns once that its timeouts are off
    same_expression(r"\sqrt{8}+1", r"1+2\sqrt{2}")


def same_expression(gold: str, answer: str) -> bool:
    """Do two LaTeX formulas without decimals state the same value, set, matrix or relation? Unreadable ones do not."""
    from math_verify import verify

    parsed_gold, parsed_answer = _parse(gold), _parse(answer)
    if parsed_gold is None or parsed_answer is None:
        return False
    return bool(
        verify(
            parsed_gold,
            parsed_answer,
            numeric_precision=50,
            strict=True,
            allow_set_relation_comp=True,
            timeout_seconds=None,
        )
    )


@lru_cache(maxsize=512)
def _parse(latex: str) -> Any | None:
    import sympy
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # Units are ours to judge: math-verify's own cleaning drops the letters t, h, s, c, l as units, also as
    # variables.
    spelling = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none")
    config = LatexExtractionConfig(normalization_config=spelling, boxed_match_priority=-1)
    found = parse(f"${latex}$", extraction_config=[config], fallback_mode="no_fallback", parsing_timeout=None)
    if not found:
        return None
    imaginary = {symbol: sympy.I for symbol in found[0].free_symbols if symbol.name == "i"}
    return found[0].subs(imaginary) if imaginary else found[0]

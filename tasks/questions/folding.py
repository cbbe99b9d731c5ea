r"""When two questions are one: the same text, but for white space, case and punctuation of prose.

Whatever may bear meaning stays: digits, signs, operators, brackets, scripts, primes, a factorial, a variable's case. A
missed duplicate costs little; a question that is taken for another is lost.
"""

import re
import unicodedata

_SPELLINGS = str.maketrans(
    dict.fromkeys("×∗⋅·", "*") | dict.fromkeys("÷∕⁄", "/") | dict.fromkeys("−–—‐‑‒", "-") | {"ˆ": "^"}
    | dict.fromkeys("’‘′", "'") | dict.fromkeys("“”", '"')
)  # fmt: skip
_SUPERSCRIPTS = re.compile(r"[²³¹⁰-ⁿ]+")
_SUBSCRIPTS = re.compile(r"[₀-ₜ]+")
_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅟])")
_WITHIN = re.compile(
    r"(?<=\d),(?=\d{3}(?!\d))|"  # 1,000 is 1000
    r"(?<=[^\W\d_]{3})-(?=[^\W\d_]{3})|"  # twenty-five; x-y is a difference
    r"(?<=[^\W\d_]{2})'(?=(?i:s|t|d|m|ll|re|ve)\b)"  # Ann's
)
_BETWEEN = re.compile(
    r"(?<=[^\W\d_]{2})(?:[?!]+(?!=)|')|"  # Wow! and James'; 5!, n!, f' mean something
    r"(?<![\w)\]}'\"])['\"]|(?<=[^\W\d_])\"|"  # quotes; 5' and 5\" are lengths
    r"\\(?=\S)|[?;¿¡。、`$]|"
    r"(?<!\d):|:(?!\d)|"  # 3:5 is a ratio
    r"(?<!\.)\.(?![\d.])"  # a full stop; .5 and ... mean something
)
_WORDS = frozenset(re.findall(r"\w\w", "am an as at be by do go he if in is it me my no of on or so to up us we"))
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|[^\W\d_]+|_+|\.{2,}|[^\s,]")


def fold(text: str) -> str:
    """A question's text as a key: equal for texts that ask the same in the same words and signs."""
    text = _SUPERSCRIPTS.sub(lambda match: f"^{_group(match[0])}", text)
    text = _SUBSCRIPTS.sub(lambda match: f"_{_group(match[0])}", text)
    text = _FRACTION.sub(" ", text)  # 3½ is no 31/2
    text = unicodedata.normalize("NFKC", text).translate(_SPELLINGS)
    tokens = _TOKEN.findall(_BETWEEN.sub(" ", _WITHIN.sub("", text)))
    return " ".join(_folded(token, following) for token, following in zip(tokens, [*tokens[1:], ""], strict=False))


def _folded(token: str, following: str) -> str:
    """Without case where that is prose's: x and X, RR and Rr, pH differ, and "A train" is "a train"."""
    lower = token.casefold()
    if len(token) < 3:
        is_prose = lower in _WORDS or (lower in ("a", "i") and following.isalpha() and len(following) > 1)
    else:
        is_prose = token.istitle() or token.isupper()
    return "_" if token[0] == "_" else lower if is_prose else token


def _group(script: str) -> str:
    return script if len(script) == 1 else f"{{{script}}}"

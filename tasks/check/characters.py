r"""Characters that people and models write instead of LaTeX: Unicode mathematics, full-width forms, other digits.

Unicode itself gives a character's decomposition and digit value. It knows no LaTeX: operators, relations and brackets
are listed here.
"""

import re
import unicodedata
from functools import lru_cache

_LATEX = {
    "-": "−‐‑‒–—―➖", r"\times ": "×⨯✕✖", r"\cdot ": "·∙⋅•・", "/": "÷⁄∕", r"\sqrt ": "√", r"\sqrt[3]": "∛",
    r"\sqrt[4]": "∜", r"\infty ": "∞", r"\le ": "≤⩽≦", r"\ge ": "≥⩾≧", r"\ne ": "≠", r"^\circ ": "°º˚∘", r"\pm ": "±",
    r"\mp ": "∓", r"\cup ": "∪", r"\cap ": "∩", r"\in ": "∈", r"\setminus ": "∖", r"\mathbb{R}": "ℝ",
    r"\mathbb{Z}": "ℤ", r"\mathbb{N}": "ℕ", r"\mathbb{Q}": "ℚ", r"\mathbb{C}": "ℂ", r"\emptyset ": "∅⌀",
    r"\langle ": "⟨〈", r"\rangle ": "⟩〉", r"\approx ": "≈≃≒", r"\cong ": "≅", r"\equiv ": "≡", r"\sum ": "∑",
    r"\prod ": "∏", r"\int ": "∫",
    r"\land ": "∧", r"\lor ": "∨", r"\to ": "→", r"\angle ": "∠", r"\therefore ": "∴", r"\lfloor ": "⌊",
    r"\rfloor ": "⌋", r"\lceil ": "⌈", r"\rceil ": "⌉", r"\ldots ": "…", ":": "∶", "|": "∣", "'": "’′", ",": "、",
    ".": "。", "[": "【", "]": "】", " ": "“”\"",
}  # fmt: skip
_OF_CHARACTER = {character: latex for latex, characters in _LATEX.items() for character in characters}
_GREEK_CAPITALS = "ΓΔΘΛΞΠΣΦΨΩ"


_SCRIPTS = [
    chr(place) for place in (*range(0xB2, 0xBA), *range(0x2B0, 0x2E5), *range(0x1D2C, 0x1D6B), *range(0x2070, 0x209D))
]
_RAISED, _LOWERED = (
    "".join(one for one in _SCRIPTS if unicodedata.decomposition(one).startswith(tag)) for tag in ("<super>", "<sub>")
)
"""The digits, signs and letters that Unicode has raised or lowered, as character classes."""
_FRACTION = re.compile(rf"([{_RAISED}]+)[/⁄]([{_LOWERED}]+)")
_OVERLINED = re.compile("(?:\\d[\u0305\u0304\u0307])+")


def to_latex(text: str) -> str:
    r"""The text in ASCII and LaTeX commands: `10⁻³` is `10^{-3}`, `5½` is `5\frac{1}{2}`, `－５` is `-5`."""
    if text.isascii():
        return text.replace('"', " ")
    text = _FRACTION.sub(lambda match: rf"\frac{{{_plain(match[1])}}}{{{_plain(match[2])}}}", text)
    text = re.sub(f"[{_RAISED}]+", lambda match: f"^{{{_plain(match[0])}}}", text)
    text = re.sub(f"[{_LOWERED}]+", lambda match: f"_{{{_plain(match[0])}}}", text)
    text = _OVERLINED.sub(lambda match: rf"\overline{{{match[0][::2]}}}", text)
    return "".join(map(_spelled, text))


def _plain(script: str) -> str:
    return unicodedata.normalize("NFKC", script)


@lru_cache(maxsize=4096)
def _spelled(character: str) -> str:
    if (latex := _OF_CHARACTER.get(character)) is not None:
        return latex
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if category == "Cf":  # invisible
        return ""
    if category in ("Zs", "Cc"):
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if unicodedata.decomposition(character).startswith("<fraction>"):
        over, under = unicodedata.normalize("NFKC", character).split("⁄")
        return rf"\frac{{{over}}}{{{under}}}"
    if name.startswith("GREEK SMALL LETTER ") or character in _GREEK_CAPITALS:
        letter = name.split()[3].replace("LAMDA", "LAMBDA")
        return f"\\{letter.lower() if character.islower() else letter.capitalize()} "
    simple = unicodedata.normalize("NFKC", character)
    return character if simple == character else "".join(map(_spelled, simple))

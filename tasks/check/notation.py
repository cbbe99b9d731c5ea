r"""One spelling for one formula: LaTeX, Unicode and plain writing brought to the same LaTeX.

Pure string work, bounded in time by the answer's length. Text (\text, \mbox, \mathrm, ...) is kept between
double quotes, because whether "m" is a unit or a variable is decided later (reading.py). Conventions:
tasks/check/README.md, "Writing does not matter". Long, for the rules apply in the order in which they stand.
"""

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache

from tasks.check.characters import to_latex

OPENING, CLOSING = "([{", ")]}"

_MONTH = "(January|February|March|April|May|June|July|August|September|October|November|December)"

# In this order. The left side is a regular expression; a name ends where no letter follows.
_RESPELL = [
    (r"\A\s*=\s*", ""),
    (r"\A`+([^`]*)`+\Z", r"\1"),  # code in Markdown
    (r",\\!\s*(?=\d{3})", "{,}"),  # TeX's thousands comma
    (r"(?<=\d)\{,\}(?=\d{3})", ""),
    (r"(?<=\d)\\[,;:! ]\s*(?=\d{3}(?!\d))", ""),  # thin space between groups of three digits
    (r"(?<=\d)'(?=\d{3}(?!\d))", ""),  # thousands, as the Swiss write them
    (r"\\begin\{array\}\s*\{[^}]*\}", r"\\begin{matrix}"),
    (r"\\(begin|end)\{(?:[pbB]?|small)matrix\}|\\(end)\{array\}", r"\\\1\2{matrix}"),
    (r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])\s*\.?", ""),
    (r"\\(?:displaystyle|textstyle|limits|rm|bf|mathrm(?!\s*\{))(?![A-Za-z])", ""),
    (r"\\(?:[dtcsx]|nice)frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:degree|degrees)(?![A-Za-z])|\^\s*\{\s*\\circ\s*\}", r"^\\circ "),
    (r"\\(?:leqslant|leqq?)(?![A-Za-z])|<=", r"\\le "),
    (r"\\(?:geqslant|geqq?)(?![A-Za-z])|>=", r"\\ge "),
    (r"\\(?:neq|not\s*=)(?![A-Za-z])|!=", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\colon(?![A-Za-z])", ":"),
    (r"\\(?:varnothing|O)(?![A-Za-z])|\A[\"\s]*(?:the )?(?:empty|null) set[\"\s.]*\Z", r"\\emptyset "),
    (r"\\(?:l|)dots(?![A-Za-z])|\\cdots(?![A-Za-z])|\.\.\.", r"\\ldots "),
    (r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?", r"\\overline{\1\2\3}"),
    (r"\\(?:bar|dot|overline)\s*\{?(\d+)\}?", r"\\overline{\1}"),
    (r"\{\s*(\\overline\{\d+\})\s*\}", r"\1"),
    (r"\\(?:lbrace|lbrack)(?![A-Za-z])", r"\\{"),
    (r"\\(?:rbrace|rbrack)(?![A-Za-z])", r"\\}"),
    (r"\\mathbb\s*R(?![A-Za-z])|\\(?:reals|Reals|R)(?![A-Za-z])", r"\\mathbb{R}"),
    (r"\\mathbb\{R\}\s*(?:\^|_)\s*(?:\{\s*\+\s*\}|\+)", r"(0,\\infty)"),
    (r"(?<=[)\]}])\s*U\s*(?=[(\[{\\])", r"\\cup "),
    (r"\A<([^<>]*,[^<>]*)>\Z", r"(\1)"),  # a vector
    (r"\A\]([^][]*)\[\Z", r"(\1)"),  # open intervals as ISO 31-11 writes them
    (r"\A\]([^][]*,[^][]*)\]\Z", r"(\1]"),
    (r"\A\[([^][]*,[^][]*)\[\Z", r"[\1)"),
    (r"\{?([^{}]+)\\choose(?![A-Za-z])\s*([^{}]+)\}?", r"\\binom{\1}{\2}"),
    (r"\\lg(?![A-Za-z])", r"\\log_{10}"),
    (r"\\backslash(?![A-Za-z])", r"\\setminus "),
    (r"\\(?:approx|approxeq|simeq)(?![A-Za-z])", r"\\approx "),
    (r"\\therefore(?![A-Za-z])", " "),
    (r"\^\s*\{?\s*\\prime\s*\}?", "'"),
    (r"\\langle(?![A-Za-z])", "("),
    (r"\\rangle(?![A-Za-z])", ")"),
    (r"\bper\s+cent\b", "percent"),
    (
        r"(?<=\d)(?:[\s\"]*R[\s\"]*|[\s\"]+r[\s\"]+|[\s\",]*(?:with\s+)?(?:a\s+)?\b(?:remainder|rem\.)(?:\s+of)?[\s\"]*)"
        r"(?=\d)",
        " remainder ",
    ),
    (r"\\(vec|hat|mathbf)\s+([A-Za-z])(?![A-Za-z])", r"\\\1{\2}"),
    (r"\\pounds(?![A-Za-z])", "£"),
    (r"\\euro(?![A-Za-z])", "€"),
    (r"\\([%$&#])", r"\1"),
    (r"(?<!\\)\\[,;:!> ]|~|\\(?:q?quad|thinspace|hspace\{[^}]*\})(?![A-Za-z])", " "),
    (r"\A\*\*([^*]+)\*\*\Z", r"\1"),  # bold in Markdown
    (r"\*\*", "^"),
    (r"(?<=[\d)])\s+[xX]\s+(?=\d)|(?<=[\d)])\s*[xX]\s*(?=10\s*\^)", r"\\times "),
    (r"\(\s*\"?\s*\\?mod(?![A-Za-z])[\s\"]*(\w+)\s*\)|\\pmod\s*\{?\s*(\w+)\s*\}?", r"\\pmod{\1\2}"),
    (r"\\bmod(?![A-Za-z])|(?<=[\d)}])\s+mod\s+(?=\d)", r"\\mod "),
    (r"\A([\d.]+)\s*''\Z", r"\1 in"),
    (r"\A([\d.]+)\s*'\Z", r"\1 ft"),
    (r"\A(\d+)\s*'\s*(\d{1,2})\s*(?:'')?\Z", r"\1 ft \2 in"),
    (r"\\(max|min|gcd|lcm)\s*\\\{([^{}]*)\\\}", r"\\\1(\2)"),
    (r"(?<![A-Za-z\\\d])(?<!\d )(max|min|gcd|lcm)\s*(?=\()", r"\\\1"),
    (r"(?<![A-Za-z\\])abs\s*\(([^()]*)\)", r"|\1|"),
    (rf"\A[\"\s]*(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}[\"\s.]*\Z", r"\2 \1"),
    (rf"\A[\"\s]*{_MONTH}\s+(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?[\"\s.]*\Z", r"\1 \2"),
    (r"\A(?:negative|minus)\s+(?=[\d.\\$])", "-"),
    (r"\*|\\ast(?![A-Za-z])", r"\\cdot "),
    (r"\+\s*/\s*-", r"\\pm "),
    (r"(?<![A-Za-z\\])(?:[Ii]nfinity|inf|oo)(?![A-Za-z])", r"\\infty "),
    (r"(?<![A-Za-z\\])(sqrt|pi)(?![A-Za-z])", r"\\\1 "),
    (
        r"(?<![A-Za-z\\])((?:arc)?(?:sin|cos|tan)|cot|sec|csc|log|ln|exp)"
        r"(?=\s*[(\\_^\d]|\s+[A-Za-z](?![A-Za-z]))",
        r"\\\1 ",
    ),
    (r"\s*\\(?=\Z)", ""),
]
_RESPELL_COMPILED = [(re.compile(pattern), replacement) for pattern, replacement in _RESPELL]
_TEXT = re.compile(r"\\(?:text(?:rm|bf|it|sf|tt|normal)?|mbox|hbox|mathrm|mathsf|mathit|operatorname)\s*\{")
_STYLE = re.compile(r"\\(?:boldsymbol|bm|pmb|underline|(?:text)?color\s*\{[^{}]*\}|mathbf(?=\s*\{[^{}A-Za-z]*\}))\s*\{")
_OPERATOR = re.compile(
    r"\\(?:operatorname\*?|mathrm(?!\s*\{\s*(?:sec|min)))\s*"  # \mathrm{min} is a unit
    r"\{\s*((?:arc)?(?:sin|cos|tan)|cot|sec|csc|log|ln|exp|max|min|gcd|det)\s*\}"
)
_SI = re.compile(r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}\\]*)\}")  # of the package siunitx
_DOLLAR, _DELIMITER = re.compile(r"(?<!\\)\$"), re.compile(r"(?<!\\)\\[()\[\]]")
_SAID = re.compile(
    r"\A\W{0,2}(?:(?:so|thus|hence|therefore),?\s+)?(?:the\s+)?(?:(?:final|correct)\s+)?(?:answer|option|choice|ans)"
    r"(?:\s+is(?![A-Za-z])|\s*[:=])?\s*(?![A-Za-z]{2,}\s*[=:])(?=\S)|\A(?:about|approximately|approx\.?|roughly)\s+",
    re.IGNORECASE,
)
"""What only leads to the answer."""


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    r"""The answer in one spelling: `\dfrac12` and `\frac{1}{2}` become the same string, text stands in double
    quotes.

    Idempotent enough to be compared: two answers with equal results state the same thing in the same way.
    """
    text = text.strip()
    while (boxed := last_boxed(text)) is not None:
        text = boxed.strip()
    if len(_DOLLAR.findall(text)) % 2 == 0:  # a single one is a currency
        text = _DOLLAR.sub(" ", text)
    text = unstyled(text)
    text = to_latex(_DELIMITER.sub(" ", text)).strip()
    text = quote_text(_SI.sub(r"\1\\text{ \2}", _OPERATOR.sub(r"\\\1 ", text)))
    text = _SAID.sub("", _SAID.sub("", text))  # the answer is option A
    for pattern, replacement in _RESPELL_COMPILED:
        text = pattern.sub(replacement, text)
    text = re.sub(r"\s+", " ", brace_arguments(text)).strip()
    return text.rstrip(" .,;:") if text.endswith((".", ",", ";", ":")) else text


def squeeze(text: str) -> str:
    r"""Without what only spaces it out. A space stays between a command's name and a letter (`\pi r`), and between
    digits: "1 2" is no 12, and "2 1/4" is no 21/4."""
    return _SPACES.sub(r"\1", text)


_SPACES = re.compile(r"((?<=[\d.])\s(?=\s*[\d.])|(?<=\\)[A-Za-z]+ (?=[A-Za-z]))|\s+")


def last_boxed(text: str) -> str | None:
    r"""Content of the last complete \boxed{...} or \fbox{...}, stripped; None where there is none."""
    place = max(_boxes(text), default=None)
    return None if place is None else text[slice(*place)].strip()


def boxed_contents(text: str) -> list[str]:
    r"""Contents of every complete \boxed{...} or \fbox{...}, in the order of their beginnings, stripped."""
    return [text[start:end].strip() for start, end in sorted(_boxes(text))]


_BRACES = re.compile(r"(\\(?:boxed|fbox)\s*\{)|\\(?=\\(?:boxed|fbox)\s*\{)|\\.|([{}])", re.DOTALL)


def _boxes(text: str) -> Iterator[tuple[int, int]]:
    """Where the contents of complete boxes start and end: balanced braces, escaped ones not counted. Takes time in
    proportion to the text, however many boxes never close."""
    groups: list[int | None] = []  # the open braces: where a box's content starts, None for others
    for match in _BRACES.finditer(text):
        if match[1]:
            groups.append(match.end())
        elif match[2] == "{":
            groups.append(None)
        elif match[2] and groups and (start := groups.pop()) is not None:
            yield start, match.start()


def closing_brace(text: str, start: int) -> int | None:
    """Index of the brace that closes the group whose content starts at `start`; None where it never closes."""
    depth = 1
    for match in _BRACE.finditer(text, start):
        depth += (match[1] == "{") - (match[1] == "}")
        if depth == 0:
            return match.start()
    return None


_BRACE = re.compile(r"\\.|([{}])", re.DOTALL)


def quote_text(text: str) -> str:
    r"""\text{ feet} -> " feet": every text command's content between double quotes, nested ones flattened."""
    while match := _TEXT.search(text):
        end = closing_brace(text, match.end())
        end = len(text) if end is None else end
        content = text[match.end() : end]
        quoted = f'"{content}"' if content.strip() else " "
        text = f"{text[: match.start()]}{quoted}{text[end + 1 :]}"
    return text


def unstyled(text: str) -> str:
    r"""\boldsymbol{5}, \underline{5}, \color{red}{5}: what is written, without how it looks."""
    while match := _STYLE.search(text):
        end = closing_brace(text, match.end())
        end = len(text) if end is None else end
        text = f"{text[: match.start()]}{text[match.end() : end]}{text[end + 1 :]}"
    return text


def brace_arguments(text: str) -> str:
    r"""\frac12, \frac\pi2, \sqrt2, \sqrt(2), x^10, 37_8 with the braces that TeX or the writer left to the reader."""
    out: list[str] = []
    index = 0
    while index < len(text):
        match = _MACRO.match(text, index)
        if not match:
            out.append(text[index])
            index += 1
            continue
        out.append(match[0])
        index = match.end()
        for _ in range(_ARGUMENTS.get(match[1], 1)):
            argument, index = _argument(text, index, takes_more=match[1] in (None, r"\sqrt"))
            out.append(f"{{{brace_arguments(argument)}}}")
    return "".join(out)


_MACRO = re.compile(r"(\\(?:frac|sqrt|binom))(?![A-Za-z])(?:\s*\[[^\]]*\])?|[\^_](?!\s*\\circ)")
_ARGUMENTS = {r"\frac": 2, r"\binom": 2, r"\sqrt": 1}


def _argument(text: str, index: int, takes_more: bool) -> tuple[str, int]:
    """One macro argument from `index`: a group, a command with its own arguments, one character; for scripts and roots
    a whole number or (...) too."""
    rest = text[index:].lstrip()
    index = len(text) - len(rest)
    if rest.startswith("{"):
        end = closing_brace(text, index + 1)
        return (text[index + 1 :], len(text)) if end is None else (text[index + 1 : end], end + 1)
    if takes_more and rest.startswith("(") and (end := matching(text, index)) is not None:
        return text[index + 1 : end], end + 1
    if takes_more and (number := re.match(r"-?\d+", rest)):
        return number[0], index + number.end()
    command = re.match(r"\\[A-Za-z]+|\"[^\"]*\"|.?", rest)
    assert command
    end = index + command.end()
    for _ in range(_ARGUMENTS.get(command[0], 0)):
        end = _argument(text, end, takes_more=command[0] == r"\sqrt")[1]
    return text[index:end], end


def matching(text: str, start: int) -> int | None:
    r"""Index of the bracket of any shape that closes the one at `start` (`(0, 3]` is closed); None without one."""
    depth, quoted = 0, False
    for index in range(start, len(text)):
        character = text[index]
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in OPENING:
            depth += 1
        elif character in CLOSING:
            depth -= 1
            if depth == 0:
                return index
    return None


def depth(text: str) -> int:
    """How deep brackets of any kind are nested."""
    depths = itertools.accumulate((one in OPENING) - (one in CLOSING) for one in text)
    return max(depths, default=0)


def is_outside(text: str, place: int) -> bool:
    """Whether all brackets that open before a place are closed there."""
    return sum((one in OPENING) - (one in CLOSING) for one in text[:place]) == 0


def split_outside(text: str, pattern: str) -> list[str]:
    """The pieces between the matches of `pattern` that stand outside all brackets; stripped, empty ones left out."""
    depths, depth, quoted = [], 0, False
    for character in text:
        depth -= character in CLOSING and not quoted
        depths.append(depth)
        depth += character in OPENING and not quoted
        quoted ^= character == '"'
    pieces, start = [], 0
    for match in re.finditer(pattern, text):
        if depths[match.start()] <= 0:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [piece.strip() for piece in [*pieces, text[start:]] if piece.strip()]


def unwrap(text: str) -> str:
    """Without brackets or quotes round the whole."""
    text = text.strip()
    while True:
        if quoted := re.fullmatch(r'"([^"]*)"', text):
            inner = quoted[1].strip()
        elif (
            text[:1] in ("(", "{")
            and matching(text, 0) == len(text) - 1
            and len(split_outside(text[1:-1], r"[,;]" if text[0] == "(" else r"[,;]|\s\|\s|\\mid(?![A-Za-z])")) < 2
        ):
            if text[-1] == "]":
                return text
            inner = text[1:-1].strip()
        else:
            return text
        text = inner

r"""The structure of an answer: a list, a point, an interval, a set, a matrix, an equation, or one value.

`read` turns a normalised answer (notation.py) into one of the types of answers.py. Reading is pure and knows one answer
only. compare.py decides what depends on the other one: a unit that was left out, the base of bare digits.
"""

import re

from tasks.check.answers import (
    Answer,
    Based,
    Choice,
    Clock,
    Listing,
    Matrix,
    Named,
    Ordered,
    Quantity,
    Region,
    Relation,
    Words,
)
from tasks.check.notation import is_outside, matching, split_outside, squeeze, unwrap
from tasks.check.numerals import as_formula, exact_value
from tasks.check.scalar import read_scalar
from tasks.check.units import in_digits, is_unit

_GREEK = (
    "(?:var)?(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|upsilon|phi|chi|psi"
    "|omega|Gamma|Delta|Theta|Lambda|Xi|Sigma|Upsilon|Phi|Psi|Omega)(?![A-Za-z])"
)
_NO_SYMBOL = re.compile(rf'"[^"]*"|\\(?:begin|end)\{{\w+\}}|\\(?!{_GREEK})[A-Za-z]+')
"""Text and commands; what letters are left are variables. \\pi is a number."""
_VARIABLE = rf"(?:[A-Za-z]|\\{_GREEK}|\\(?!pi\b|infty\b|in\b)[a-z]+)(?:_\{{[\w+-]+\}}|'|\^\{{-1\}})*"
_FUNCTION = re.compile(rf"(\\(?:sin|cos|tan|cot|sec|csc)) ?({_VARIABLE})")
_NUMBER = r"-?(?:[\d./]+|\\frac\{\d+\}\{\d+\})"
_NAME = re.compile(
    rf"{_VARIABLE}(?:\({_VARIABLE}(?:,{_VARIABLE})*\))?|\({_VARIABLE}(?:,{_VARIABLE})+\)"
    rf"|(?![xyzkmn]\()[A-Za-z](?:'|\^\{{-1\}})*\({_NUMBER}(?:,{_NUMBER})*\)"  # f(2), not x(2)
    r"|[PE]\([^()]*\)|\"[^\"]*\"[A-Z]*|\\?(?:Delta)?m?\\angle ?[A-Z]+|\\triangle ?[A-Z]+"
    r"|\\(?:overline|bar|hat|vec|mathbf|tilde|widehat)\{[A-Za-z]+\}|\|[A-Z]+\||\[[A-Z]{3,}\]|[A-Z]{2}"
)
_WORDS = re.compile(r"(?!(?:arc)?(?:sin|cos|tan)|cot|sec|csc|log|exp|sqrt)[A-Za-z]{4,}(?:\s+[A-Za-z]+)*")
_SEPARATOR = r"[,;]|\"[,;]?\s*(?:and|or)\s*\"|(?<=[\s\"])(?:and|or)(?=[\s\"])|\\(?:land|lor|vee|wedge)(?![A-Za-z])"
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})((?:,\d{3})+)(?![\d]|,\d)")
_APPROXIMATELY, _IN, _UNION = r"\\approx(?![A-Za-z])", r"\\in(?![A-Za-z])", r"\\cup(?![A-Za-z])"
_SUCH_THAT = r"\\mid(?![A-Za-z])|\||(?<!\d)\s*:"
_SETS = re.compile(r"\\(?:cup|cap|setminus|mathbb|emptyset)(?![A-Za-z])")
_ORDER = re.compile(r"(<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z]))")
_UNIT_IN_BRACKETS = re.compile(r"(.*[\d)}!])\s+\(\s*([A-Za-z%$°¢][A-Za-z%.\s/^\d{}'-]*)\)", re.DOTALL)
_AFTER_UNIT = re.compile(
    r"(?<=\d)(\s*\"?\s*([A-Za-z]+)\.?\s*\"?)\s+\"?(?=\d)|(?<=\d)(\s*\"\s*([A-Za-z]+)\.?\s*\")(?=\d)"
)
_AFTER_EQUATION = re.compile(r"(?<=[\d)}])\s+(?=[A-Za-z](?:_\{\w+\})?\s*=)")
_CHOICE = re.compile(
    r"(?:\(([A-Z])\)|\"?\(?([A-Z])\)?[.):](?=\s))\"?\s*(?![+*/^=<>,;&|]|\\(?:cdot|times|cup|cap)|(?:and|or|nor|but|not)\b|is\s+(?:not|wrong|incorrect|false)\b"
    r"|.*\([A-Z]\))(\S.*)",
    re.DOTALL,
)
"""Not where another option is named too, or this one is denied: (A), (B) and "(A) or (B)" choose nothing."""
_PART = re.compile(r"(?:\A|(?<=[\s;,.]))\(([a-h]|[1-9]|i{1,3}|iv|v)\)\s*")
_PART_NAMES = list("abcdefgh"), list("123456789"), ["i", "ii", "iii", "iv", "v"]
_JOINT = r"(?:and|or|nor|but|only|not)\b|[+*/^=<>|&]"
_CONDITION = re.compile(r"[<>=]|\\(?:in|le|ge|ne|text)(?![A-Za-z])|\"")
_CHAIN = re.compile(r"[a-z](?:_\{\w+\})?")
_ROWS = re.compile(r"\\begin\{(cases|aligned|gathered)\}(.*)\\end\{\1\}", re.DOTALL)
_MATRIX = re.compile(r"(.*?)\s*(?:\\cdot)?\s*\\begin\{matrix\}(.*)\\end\{matrix\}", re.DOTALL)
_REALS = re.compile(r"(?:the set of )?(?:all )?real(?: number)?s?|reals|\\mathbb\{R\}", re.IGNORECASE)


def read(text: str) -> Answer:
    """The typed answer of a normalised text. Total: what it cannot make out is a formula."""
    text = in_digits(unwrap(text))
    if (found := _set(text) or _parts(text) or _choice(text)) is not None:
        return found
    if rows := _ROWS.fullmatch(text):
        text = re.sub(r"&\s*=|=\s*&", "=", rows[2]).replace(r"\\", ", ").strip(" ,")
    if match := _UNIT_IN_BRACKETS.fullmatch(text):
        text = f"{match[1]} {match[2]}"  # 9 (apples)
    text = _AFTER_EQUATION.sub(", ", _AFTER_UNIT.sub(_apart, text))
    if not text.startswith(("(", "[")):  # between brackets a comma separates: (22,500) is a point
        text = _THOUSANDS.sub(lambda match: match[1] + match[2].replace(",", ""), text)
    members = split_outside(text, _SEPARATOR)
    if len(members) > 1:
        return _listing(members, text)
    if r"\pm" in text or r"\mp" in text:
        return _plus_minus(text)
    exactly, *nearly = split_outside(text, _APPROXIMATELY) or [text]
    if nearly:
        return _named(exactly, nearly[-1]) if _is_name(exactly) else read(exactly)
    if exactly != text.strip():
        return read(exactly)
    return _bracketed(text) or _relation(text) or _region(text) or read_scalar(text)


def _set(text: str) -> Answer | None:
    """Members between braces, also without their backslashes, or all x with a condition."""
    text = text.removeprefix("\\")
    if not text.startswith("{") or matching(text, 0) != len(text) - 1:
        return None
    inside = text[1:-1].removesuffix("\\")
    condition = split_outside(inside, _SUCH_THAT)
    if len(condition) == 2 and _CONDITION.search(condition[1]):
        return read(condition[1])
    return Listing(_flat([read(member) for member in split_outside(inside, "[,;]")]), is_set=True)


def _parts(text: str) -> Answer | None:
    """What several questions in one are answered by: "(a) 5 (b) 6", "(1) x = 2; (2) 3"."""
    found = [match for match in _PART.finditer(text) if is_outside(text, match.start())]
    labels = [match[1] for match in found]
    if len(found) < 2 or not any(labels == names[: len(labels)] for names in _PART_NAMES) or found[0].start():
        return None
    ends = [*(match.start() for match in found[1:]), len(text)]
    values = list(map(lambda match, end: text[match.end() : end].strip(" ,;."), found, ends))
    if not all(re.search(r"[\w)}\]%'\"$]\Z", value) and not re.match(_JOINT, value) for value in values):
        return None
    return Listing(tuple(map(_named, (f"({label})" for label in labels), values)))


def _choice(text: str) -> Answer | None:
    """The letter of an option, alone or before its text."""
    if match := re.fullmatch(r"\(?([A-Z])[).]", text):
        return read_scalar(match[1])
    if match := _CHOICE.fullmatch(text.replace('"', "")):
        return Choice(match[1] or match[2], read(match[3]))
    return None


def _apart(match: re.Match[str]) -> str:
    """A comma between 5 ft and 11 in."""
    return f"{match[1] or match[3]}, " if is_unit(match[2] or match[4]) else match[0]


def _plus_minus(text: str) -> Answer:
    """Every choice of signs: independent for several plus-minus signs, opposite for a minus-plus. The signs stand
    apart: 1-2 would be a range."""
    joint = r"\mp" in text
    variants = [text]
    while any(r"\pm" in one or r"\mp" in one for one in variants):
        if joint:
            variants = [
                one.replace(r"\pm", plus).replace(r"\mp", minus)
                for one in variants
                for plus, minus in ((" + ", " - "), (" - ", " + "))
            ]
        else:
            variants = [one.replace(r"\pm", sign, 1) for one in variants for sign in (" + ", " - ")]
        if len(variants) == 32:
            return Quantity(text, None)
    return Listing(_flat([read(re.sub(r"(^|[=(,])\s*\+", r"\1", one)) for one in variants]))


def _listing(members: list[str], text: str) -> Answer:
    """Members of a list; conditions joined by "or" are one region, a lower and an upper bound one interval."""
    answers = [read(member) for member in members]
    if all(isinstance(one, Named) and isinstance(one.value, Ordered | Region) for one in answers):
        regions = [one for one in answers if isinstance(one, Named)]
        names = {one.name for one in regions}
        if len(names) == 1 and not re.search(r",(?! or)|;|and|\\land|\\wedge", text):
            formula = r"\cup ".join(one.formula for one in regions)
            return Named(names.pop(), Region(tuple(one.value for one in regions), formula), formula)
        is_either = re.search(r"(?<![a-z])(?:or|lor|vee)(?![a-z])", text)
        if len(names) == 1 and not is_either and (interval := _between(*(one.value for one in regions))):
            return Named(names.pop(), interval, text)
    return Listing(_flat(answers))


def _between(*bounds: Answer) -> Answer | None:
    """The interval between a lower and an upper bound, as of x > 1 and x < 2."""
    match bounds:
        case [
            Ordered(brackets=left, members=[low, Quantity(formula=r"\infty")]),
            Ordered(brackets=right, members=[Quantity(formula=r"-\infty"), high]),
        ] | [
            Ordered(brackets=right, members=[Quantity(formula=r"-\infty"), high]),
            Ordered(brackets=left, members=[low, Quantity(formula=r"\infty")]),
        ]:
            return Ordered(left[0] + right[1], (low, high))
    return None


def _flat(answers: list[Answer]) -> tuple[Answer, ...]:
    flat: list[Answer] = []
    for one in answers:
        flat.extend(one.members if isinstance(one, Listing) and not one.is_set else (one,))
    return tuple(flat)


def _bracketed(text: str) -> Answer | None:
    if (match := _MATRIX.fullmatch(text)) and (not match[1] or exact_value(match[1]) is not None):
        rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", match[2]) if row.strip()]
        cells = (row.split("&") for row in rows)
        return Matrix(
            tuple(tuple(read(rf"{match[1]}\cdot ({cell})" if match[1] else cell) for cell in row) for row in cells)
        )
    if match := re.fullmatch(r"[(\[]\s*(\\begin\{matrix\}[\s\S]*)[)\]]", text):
        return _bracketed(match[1].strip())
    if text[:1] in ("(", "[") and matching(text, 0) == len(text) - 1 and text[-1] in (")", "]"):
        members = tuple(read(member) for member in split_outside(text[1:-1], "[,;]"))
        if text[0] == "[" and members and all(isinstance(one, Ordered) and one.brackets == "[]" for one in members):
            return Matrix(tuple(one.members for one in members if isinstance(one, Ordered)))
        if len(members) > 1:
            return Ordered(text[0] + text[-1], members)
    return None


def _relation(text: str) -> Answer | None:
    """`x = 4`, `4 = x`, `A = 2 + 3 = 5`, `-2 < x \\le 7`, `x \\in (1, 2)`, and other equations."""
    if len(parts := split_outside(text, _IN)) == 2 and _is_name(parts[0]):
        return _named(parts[0], parts[1])
    parts = split_outside(text, "=")
    if marks := [mark[0] for mark in _ORDER.finditer(text) if is_outside(text, mark.start())]:
        sides = [squeeze(side) for side in split_outside(text, _ORDER.pattern)]
        return _inequality(sides, marks) or Relation(as_formula(text))
    if len(parts) < 2:
        return None
    numbers = {value for part in parts if (value := exact_value(part)) is not None}
    if len(numbers) > 1:
        return Relation(as_formula(text))  # x = 4 = 5 states nothing
    if len(parts) > 2 and all(_CHAIN.fullmatch(squeeze(part)) for part in parts[:-1]):
        return Listing(tuple(_named(part, parts[-1]) for part in parts[:-1]))  # x = y = z = 1 names all three
    if _is_name(parts[0]):
        return _named(parts[0], parts[-1])
    if len(parts) == 2 and _is_name(parts[1]):
        return _named(parts[1], parts[0])
    if not any(map(_has_variable, parts[:-1])) and _is_value(result := read(parts[-1]), parts[-1]):
        return result  # a calculation: 6/3 = 2 answers 2
    return Relation(as_formula(text))


def _has_variable(text: str) -> bool:
    return re.search("[A-Za-z]", _NO_SYMBOL.sub(" ", text)) is not None


def _is_value(answer: Answer, text: str) -> bool:
    """Whether an answer, read from `text`, is free of variables; the letters of a unit are none."""
    match answer:
        case Quantity():
            return answer.exact is not None or not _has_variable(answer.formula)
        case Words() | Clock() | Based():
            return True
    return not _has_variable(text)


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(_call(squeeze(text))) is not None or _WORDS.fullmatch(text.strip()) is not None


def _call(name: str) -> str:
    r"""\sin\theta as \sin(\theta), any other text as it is."""
    return f"{match[1]}({match[2]})" if (match := _FUNCTION.fullmatch(name)) else name


def _named(name: str, value: str) -> Named:
    return Named(_call(squeeze(name)).strip('"'), read(value), f"{squeeze(name)}={as_formula(value)}")


def _inequality(parts: list[str], marks: list[str]) -> Named | None:
    """One variable between or beside numbers, as the interval it stands for."""
    place = next((index for index, part in enumerate(parts) if re.fullmatch(_VARIABLE, part)), None)
    if place is None or len(parts) != len(marks) + 1 or len(parts) > 3:
        return None
    name = parts[place]
    bounds = " ".join(parts[:place] + parts[place + 1 :])
    if re.search(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z])", bounds):
        return None
    if len(parts) == 2:
        bound, mark = parts[1 - place], marks[0]
        if place == 1:
            mark = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}.get(mark, mark)
        if mark == r"\ne":
            text = rf"(-\infty,{bound})\cup({bound},\infty)"
        elif mark in ("<", r"\le"):
            text = rf"(-\infty,{bound}{')' if mark == '<' else ']'}"
        else:
            text = rf"{'(' if mark == '>' else '['}{bound},\infty)"
    elif place == 1 and set(marks) <= {"<", r"\le"}:
        text = f"{'(' if marks[0] == '<' else '['}{parts[0]},{parts[2]}{')' if marks[1] == '<' else ']'}"
    elif place == 1 and set(marks) <= {">", r"\ge"}:
        text = f"{'(' if marks[1] == '>' else '['}{parts[2]},{parts[0]}{')' if marks[0] == '>' else ']'}"
    else:
        return None
    return Named(name, read(text), text)


def _region(text: str) -> Answer | None:
    if _REALS.fullmatch(text.replace('"', "").strip()):
        return read(r"(-\infty,\infty)")
    if not _SETS.search(text):
        return None
    members = split_outside(text, _UNION)
    return Region(tuple(read(member) for member in members) if len(members) > 1 else (), as_formula(text))

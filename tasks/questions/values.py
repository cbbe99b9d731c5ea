"""Values of files (texts, numbers, bytes, nothing) as the parts of a question.

JSON's NaN, null and an absent value are one: missing. A number is written out as people write it: 145.0 is "145".
"""

import ast
import html
import json
import re
import reprlib
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from token import STRING
from tokenize import TokenError, generate_tokens
from typing import Any

LONGEST_TEXT = 1_000_000
"""Characters of one value: no prompt holds a longer one."""
DIGITS = 1_000
"""Of a number before or after its point."""
MOST_LEVEL = 2**31 - 1
Row = dict[str, Any]
_MISSING = ("nan", "NaN", "<NA>", "#N/A", "#DIV/0!", "#NAME?", "#NUM!", "#REF!", "#VALUE!", "null", "NULL", r"\N")
"""What pandas, Excel and databases write for a missing value."""
_FLOAT = re.compile(r"-?\d+\.0|-?\d(?:\.\d+)?e[+-]?\d{1,4}", re.ASCII)


_EATEN = re.compile(
    r"[\b]|\f(?=rac|orall|lat)|\t(?=ext[a-z]*\{|imes\b|heta\b|frac|riangle\b)|\r(?=ight\b|angle\b|ho\b)|\n(?=eq\b|abla\b)"
)
"""Of LaTeX commands (\\beta, \\frac, \\text, \\right, \\neq) what JSON makes without the second backslash."""
_ENTITY = re.compile(r"&(?:lt|gt|le|ge|amp|nbsp|times|minus|#\d{2,5});")


class QuestionError(ValueError):
    """Questions that cannot be used: the message names the file, row or field, and the way out."""


def text_of(value: Any, where: str, what: str) -> str:
    """A value as text, stripped; "" for a missing one (None, NaN).

    Raises:
        QuestionError: bytes that are no UTF-8, a lone surrogate, true, infinity, a date, a list of several.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as problem:
            raise QuestionError(f"{where}: the {what} is bytes that are no UTF-8 text") from problem
    if value is None:
        return ""
    if isinstance(value, str):
        return _sound(value, where, what)
    if isinstance(value, bool):
        raise QuestionError(f"{where}: the {what} is {value}: write the word that a right answer has (yes, True, ...)")
    if isinstance(value, int | float | Decimal):
        return _number(value, where, what)
    found = value if isinstance(value, list | tuple) else []
    if said := _one_turn(found):
        return text_of(said["content"], where, what)
    if not any(isinstance(one, list | tuple | dict) for one in found):
        members = {text_of(one, where, what) for one in found}
        if len(members) == 1:
            return members.pop()
    raise QuestionError(
        f"{where}: the {what} is a {type(value).__name__} ({short(value)}), expected one text or number"
    )


def answer_of(value: Any, where: str) -> str:
    """An answer as text. A float of a CSV file, 145.0 or 1e-07, becomes the number that JSON would have."""
    text = text_of(value, where, "answer")
    if _ENTITY.search(text):
        text = html.unescape(text).strip()  # taken from a web page
    return _number(Decimal(text), where, "answer") if _FLOAT.fullmatch(text) else text


def parsed_list(value: Any) -> Any:
    """The list, where a text is a list of texts as JSON (Skywork-OR1), Python or numpy writes it, which puts no commas
    between them; anything else unchanged."""
    if not isinstance(value, str) or not re.fullmatch(r"\s*\[\s*['\"].*['\"]\s*\]\s*", value, re.DOTALL):
        return value
    with suppress(ValueError, RecursionError):
        members = json.loads(value)
        return members if all(isinstance(one, str) for one in members) else value
    with suppress(TokenError, ValueError, SyntaxError, MemoryError):
        _, *inner, _ = [one for one in generate_tokens(StringIO(value.strip()).readline) if one.string.strip()]
        if all(one.type == STRING or one.string == "," for one in inner):
            members = [ast.literal_eval(one.string) for one in inner if one.type == STRING]
            return members if all(isinstance(one, str) for one in members) else value
    return value


def level_of(value: Any, where: str) -> int:
    """The first integer of a level such as 3, "3" or "Level 3"; 0 where there is none.

    Raises:
        QuestionError: it is no level, as a time stamp is none.
    """
    number = re.search(r"\d+", str(value) if isinstance(value, str | int | float | Decimal) else "")
    if number and (len(number[0]) > 10 or int(number[0]) > MOST_LEVEL):
        raise QuestionError(f"{where}: the level is {short(value)}, expected a number up to {MOST_LEVEL}")
    return int(number[0]) if number else 0


def kinds_of(value: Any, where: str) -> tuple[str, ...]:
    members = value if isinstance(value, list | tuple) else [value]
    return tuple(text for one in members if (text := text_of(one, where, "kind")))


def solution_of(value: Any, where: str) -> str | None:
    """A worked solution; several ways to solve it, which some sets list, one after the other."""
    members = value if isinstance(value, list | tuple) else [value]
    return "\n\n".join(text for one in members if (text := text_of(one, where, "solution"))) or None


def short(value: Any, most: int = 60) -> str:
    """A value for a message: of a huge or deep one a part."""
    cut = reprlib.Repr()
    cut.maxstring = cut.maxother = most
    cut.maxlevel = 2
    return cut.repr(value)


def listed(names: Any, most: int = 20) -> str:
    """Names for a message, none of them long, and not all of very many."""
    names = list(names)
    return ", ".join(short(str(name), 40) for name in names[:most]) + (", ..." if len(names) > most else "")


def _sound(text: str, where: str, what: str) -> str:
    if found := _EATEN.search(text):
        raise QuestionError(
            f"{where}: the {what} holds {found[0]!r}, which a backslash became that was not doubled in JSON: "
            f"{short(text)}"
        )
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise QuestionError(f"{where}: the {what} has {len(text)} characters, at most {LONGEST_TEXT} can be asked")
    if re.search("[\ud800-\udfff\0]", text):
        raise QuestionError(f"{where}: the {what} holds a broken character (a lone surrogate or NUL): {short(text)}")
    return "" if text in _MISSING else text


def _number(value: int | float | Decimal, where: str, what: str) -> str:
    if isinstance(value, int):
        value = Decimal(value)  # str(int) refuses more than 4,300 digits
    elif isinstance(value, float):
        value = Decimal(repr(value))
    if value.is_nan():
        return ""
    if not value.is_finite():
        raise QuestionError(f"{where}: the {what} is {value}, which is no number")
    if abs(value.adjusted()) > DIGITS or len(value.as_tuple().digits) > 2 * DIGITS:
        raise QuestionError(f"{where}: the {what} is a number of more than {DIGITS} digits")
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _one_turn(messages: Any) -> Mapping[str, Any] | None:
    """The only message of a prompt in chat form, but for a system prompt before it."""
    if not all(isinstance(one, dict) and {"role", "content"} <= one.keys() for one in messages):
        return None
    asked = [one for one in messages if one["role"] != "system"]
    return asked[0] if len(asked) == 1 and asked[0]["role"] == "user" else None

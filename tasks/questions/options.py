"""The options of a multiple-choice question in all published forms, and the one that the gold answer names.

Options are shown as "A. ...", "B. ..." below the question, unless the question shows them already (BBH). The gold
becomes the letter. A set names it by letter or label, by its text, or by its index (from 0; from 1 only where 0 does
not fit). One row may be read in several ways, so all rows of a set decide together.
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from tasks.check.equivalence import as_compared
from tasks.questions.golds import NoFinalAnswer, final_answer
from tasks.questions.values import QuestionError, short, text_of

_TEXTS = ("text", "content", "value")
_LABELS = ("label", "key", "id")
_LABEL = re.compile(r"[(\[]?\s*([A-Za-z]|\d{1,2})\s*[)\].:]?")
_LABELLED = re.compile(
    r"\s*(?:[(\[]([A-Za-z]|\d{1,2})\s*[)\]]|([A-Za-z]|\d{1,2})\s*\)|([A-Za-z])[.:]\s|(\d{1,2})\.\s)\s*"
)

_SHOWN = re.compile(r"^\s*\(?([A-Z])[).:]\s+(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """Texts of the options ("": it is missing), and the labels that the source gives them (none: it gives none)."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """A question's options, and what the source says is the right one."""

    where: str
    options: Options
    gold: str


def read_options(value: Any, where: str) -> Options:
    """Options from a list, a dict of letters, {"text": [...], "label": [...]}, or a text that holds one of these.

    Raises:
        QuestionError: it is none of these, or there are none or more than 26.
    """
    given = _parsed(text_of(value, where, "choices"), where) if isinstance(value, str | bytes) else value
    labels: list[Any] = []
    if isinstance(given, dict):
        lists = [
            next((given[key] for key in keys if isinstance(given.get(key), list)), None) for keys in (_TEXTS, _LABELS)
        ]
        if lists[0] is not None:
            texts, labels = lists[0], lists[1] or []
        else:  # a struct of a Parquet file has all letters that occur anywhere, the rest null
            given = {key: option for key, option in given.items() if option is not None}
            texts, labels = list(given.values()), list(given)
    elif isinstance(given, list | tuple):
        texts = [_member(one, _TEXTS) for one in given]
        labels = [_member(one, _LABELS) for one in given if isinstance(one, dict)]
    else:
        raise QuestionError(f"{where}: the choices are {short(value)}, expected a list of options")
    read = tuple(text_of(one, where, f"option {place}") for place, one in enumerate(texts, 1))
    if not 1 <= len(read) <= len(ascii_uppercase):
        raise QuestionError(f"{where}: there are {len(read)} choices, expected 2 to {len(ascii_uppercase)}")
    return _labelled(read, [text_of(one, where, "label of an option") for one in labels])


def in_any_order(options: Options, question: str) -> Options:
    """Options from columns whose first is the right one, shuffled so that the order does not tell."""
    ranked = sorted(options.texts, key=lambda text: hashlib.sha256(f"{question}\n{text}".encode()).digest())
    return Options(tuple(ranked))


def with_options(question: str, options: Options) -> str:
    """The question with its options below it, if they do not stand in it."""
    pairs = list(zip(ascii_uppercase, options.texts, strict=False))
    if all(re.search(rf"(?<!\w){letter}\s*[).:\]]\s*{re.escape(text)}", question) for letter, text in pairs):
        return question
    return "\n".join([question, *(f"{letter}. {text}" for letter, text in pairs)])


def letters_of(choices: Sequence[Choice], first: int | None = None) -> tuple[list[str], str]:
    """The letter of each gold, and how the golds name their options; `first` is where indices count from, if known.

    Raises:
        QuestionError: golds that name no option, or that name others when they are read in another way.
    """
    impossible = {0: _FROM_1, 1: _FROM_0}.get(first) if first is not None else None
    readings = {how: reading for how, reading in _READINGS.items() if how != impossible}
    found = {how: [reading(one) for one in choices] for how, reading in readings.items()}
    fitting = [how for how, places in found.items() if None not in places]
    if not fitting:
        how = max(found, key=lambda how: len(choices) - found[how].count(None))
        wrong = [one for one, place in zip(choices, found[how], strict=True) if place is None]
        one = wrong[0]
        raise QuestionError(
            f"{one.where}: the answer {short(one.gold)} is none of the options {ascii_uppercase[0]} to "
            f"{ascii_uppercase[len(one.options.texts) - 1]}, read as {how}"
            + (f"; so are {len(wrong) - 1} more, the next in {wrong[1].where}" if wrong[1:] else "")
        )
    how = fitting[0]
    rivals = [other for other in fitting[1:] if {how, other} in ({_BY_LABEL, _BY_TEXT}, {_BY_TEXT, _FROM_0})]
    for other in rivals:
        for one, place, another in zip(choices, found[how], found[other], strict=True):
            if place != another:
                raise QuestionError(
                    f"{one.where}: the answer {short(one.gold)} is option {ascii_uppercase[place or 0]} {how} and "
                    f"{ascii_uppercase[another or 0]} {other}, and no row decides which: write the letters"
                )
    return [ascii_uppercase[place or 0] for place in found[how]], how


def _by_label(choice: Choice) -> int | None:
    if match := _LABEL.fullmatch(choice.gold):
        labels = [label.upper() for label in choice.options.labels]
        letters = [] if any(map(str.isalpha, labels)) else list(ascii_uppercase[: len(choice.options.texts)])
        return next((names.index(match[1].upper()) for names in (labels, letters) if match[1].upper() in names), None)
    if prefix := _LABELLED.match(choice.gold):  # "B) 21"
        place = _by_label(replace(choice, gold=next(filter(None, prefix.groups()))))
        return place if place == _by_text(replace(choice, gold=choice.gold[prefix.end() :])) else None
    return None


def _by_text(choice: Choice) -> int | None:
    texts = list(choice.options.texts)
    if choice.gold in texts:
        return texts.index(choice.gold)
    alike = [place for place, text in enumerate(texts) if text.casefold() == choice.gold.casefold()]
    return alike[0] if len(alike) == 1 else None  # alleles RR, Rr and rr are three


def _by_index(first: int) -> Callable[[Choice], int | None]:
    def read(choice: Choice) -> int | None:
        place = int(choice.gold) - first if re.fullmatch(r"\d{1,2}", choice.gold) else -1
        return place if 0 <= place < len(choice.options.texts) else None

    return read


_BY_LABEL, _BY_TEXT, _FROM_0, _FROM_1 = "by its label", "by its text", "by an index from 0", "by an index from 1"
_READINGS = {_BY_LABEL: _by_label, _BY_TEXT: _by_text, _FROM_0: _by_index(0), _FROM_1: _by_index(1)}


def unjudgeable(options: Options, letter: str) -> str | None:
    """Why no answer to such a question could be judged, None where it could."""
    if len(options.texts) == 1:
        return "there is but one option"
    if "" in options.texts:
        return "an option is missing or empty"
    if options.texts.count(options.texts[ascii_uppercase.index(letter)]) > 1:
        return "another option says the same as the right one"
    return None


def text_of_option(options: Options, letter: str) -> str | None:
    r"""What an option says; None where an answer that says it might mean another: one of them is itself a letter, in
    whatever dress ("(b)", "$B$"), or says the same to the answer check, to which B and ~B are one."""
    labels = [_LABEL.fullmatch(text) for text in options.texts]
    texts = [as_compared(text) for text in options.texts]
    are_letters = any(label and label[1].isalpha() for label in labels) or not {*ascii_uppercase}.isdisjoint(texts)
    place = ascii_uppercase.index(letter)
    return None if are_letters or texts.count(texts[place]) > 1 else options.texts[place]


def misses_shown(question: str, gold: str) -> bool:
    """Whether a question shows lettered options on lines of their own, and its gold is a letter of none of them."""
    shown, texts = [list(column) for column in zip(*_SHOWN.findall(question), strict=True)] or [[], []]
    if len(shown) < 2 or shown != list(ascii_uppercase[: len(shown)]):
        return False
    label = _LABEL.fullmatch(gold)
    letter = label[1] if label and label[1].isalpha() else ""
    is_index = gold.isascii() and gold.isdecimal() and int(gold) <= len(shown) and not any(gold in one for one in texts)
    return letter not in shown and (letter != "" or "ptions:" in question or is_index)


def choice_of(where: str, options: Options, gold: str) -> Choice:
    """The gold may be an option, or a solution that ends with it."""
    plain = Choice(where, options, gold)
    if any(reading(plain) is not None for reading in _READINGS.values()):
        return plain
    try:
        return Choice(where, options, final_answer(gold).answer)
    except NoFinalAnswer:
        return plain


def _parsed(text: str, where: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    places = [0]  # "a ) 38 , b ) 27 , c ) 30": MathQA's form
    for letter in ascii_uppercase:
        match = re.compile(rf"(?<!\w){letter}\s*[).:]\s", re.IGNORECASE).search(text, places[-1])
        if not match:
            break
        places.append(match.start())
    if len(places) < 3 or text[: places[1]].strip(" ([{'\""):
        raise QuestionError(f"{where}: the choices are a text ({short(text)}), expected a list of options")
    return [text[start:end].strip(" ,;") for start, end in zip(places[1:], [*places[2:], None], strict=True)]


def _member(one: Any, keys: tuple[str, ...]) -> Any:
    return next((one[key] for key in keys if key in one), None) if isinstance(one, dict) else one


def _labelled(texts: tuple[str, ...], labels: list[str]) -> Options:
    """Labels apart from the texts, where all texts begin with theirs, in order: "A) 21", "(B) x", "3. y"."""
    if labels:
        is_short = all(_LABEL.fullmatch(label) for label in labels) and len(labels) == len(set(labels)) == len(texts)
        return Options(texts, tuple(_LABEL.sub(r"\1", label) for label in labels) if is_short else ())
    prefixes = [_LABELLED.match(text) for text in texts]
    found = [next(filter(None, prefix.groups())) for prefix in prefixes if prefix]
    for first in ("A", "a", "0", "1"):
        labels = [_next(first, step) for step in range(len(texts))]
        if found == labels or (first.isalpha() and sorted(found) == labels):  # letters may be in another order
            rest = tuple(text[prefix.end() :].strip() for text, prefix in zip(texts, prefixes, strict=True) if prefix)
            return Options(rest, tuple(found)) if all(rest) else Options(texts)
    return Options(texts)


def _next(first: str, step: int) -> str:
    return str(int(first) + step) if first.isdigit() else chr(ord(first) + step)

"""Questions from rows with any columns: finds question and answer among them, and reads their values.

Columns are named question, answer, kind, level, solution, choices and cluster, or as a published set names them
(published.py), or mapped: {"question": "Body + Question"} joins two columns, "meta.passage" is a member of one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from tasks.questions.golds import NoFinalAnswer, final_answer
from tasks.questions.gsm8k import as_written
from tasks.questions.options import (
    Options,
    choice_of,
    in_any_order,
    letters_of,
    misses_shown,
    read_options,
    text_of_option,
    unjudgeable,
    with_options,
)
from tasks.questions.published import recognised
from tasks.questions.rows import LeftOut, Mapped, Question
from tasks.questions.values import (
    QuestionError,
    Row,
    answer_of,
    kinds_of,
    level_of,
    listed,
    parsed_list,
    short,
    solution_of,
    text_of,
)

REQUIRED = ("question", "answer")
OPTIONAL = ("kind", "level", "solution", "choices", "cluster")
KNOWN = (*REQUIRED, *OPTIONAL)
_PLUS = " + "
_OPTIONS = {"options", "candidates", "alternatives", "endings", "choice"}
_GIVEN = {"table", "theory", "dialogue", "pre_text", "para", "paragraph", "story", "document", "premise", "premises"}
"""Columns without which a question cannot be answered."""
_IMAGES = ("image", "images", "decoded_image", "image_1")
_ABSENT = object()
_WAY_OUT = 'with `columns`, e.g. {"question": "Body + Question"} (of a benchmark: in evaluation.columns, by its name)'


class _Draft(NamedTuple):
    """A question with its answer as the source writes it. All rows together decide what the answer means."""

    question: Question
    options: Options | None
    unasked: str | None = None
    """Why it cannot be asked."""


def map_rows(rows: Iterable[tuple[str, Row]], columns: Mapping[str, str]) -> Mapped:
    """Questions from rows; `columns` maps question, answer, kind, level, solution, choices, cluster to theirs.

    Raises:
        QuestionError: a mapped or required column is missing (those that exist are listed), or a value is not what it
            should be; the message names the row.
    """
    if unknown := columns.keys() - set(KNOWN):
        raise QuestionError(f"columns: unknown {sorted(unknown)}; what can be mapped is {', '.join(KNOWN)}")
    drafts: list[_Draft] = []
    known, mapping = None, dict(columns)
    rows = iter(rows)
    for where, row in rows:
        if not drafts and not columns.keys() & set(REQUIRED):
            known = recognised(partial(_has, row))
            mapping = (known.columns if known else {}) | dict(columns)
        for key in (*REQUIRED, *mapping):
            if not _has(row, mapping.get(key, key)):
                others = True if drafts else any(_has(other, mapping.get(key, key)) for _, other in rows)
                raise QuestionError(f"{where}: {_missing(key, mapping.get(key, key), row, others)}")
        unused = [name for name in row if name.casefold() in _OPTIONS]
        if unused and "choices" not in mapping and "choices" not in row:
            raise QuestionError(
                f"{where}: the column {unused[0]!r} seems to hold options: map choices to it {_WAY_OUT}"
            )
        if "question" not in columns:
            asked = mapping.get("question", "question")
            given = [name for name in row if name.casefold() in _GIVEN and row[name] not in (None, "", [], {})]
            if left := [name for name in given if name not in asked.split(_PLUS)]:
                raise QuestionError(
                    f"{where}: the column {left[0]!r} seems to belong to the question: map question to "
                    f"{_PLUS.join([left[0], asked])!r}, or to {asked!r} alone, {_WAY_OUT}"
                )
        drafts.append(_draft(where, row, mapping, says_yes=known is not None and known.says_yes))
    said = "; ".join(f"{key}: {column}" for key, column in (known.columns if known else {}).items())
    notes = (f"the columns are those of {known.name} ({said})",) if known else ()
    return _with_golds(drafts, notes, first=known.first if known else None)


def _draft(where: str, row: Row, mapping: Mapping[str, str], *, says_yes: bool) -> _Draft:
    values = {key: _values(row, mapping.get(key, key)) for key in KNOWN}
    for key, several in values.items():
        if len(several) > 1 and key not in ("question", "choices"):
            raise QuestionError(f"columns: the {key} is one column, only question and choices can be several")
    asked, answer = values["question"], values["answer"][0]
    if isinstance(answer, list) and asked[0] is answer:
        asked, answer = _turns(answer, where)
    question = "\n".join(text for one in asked if (text := text_of(one, where, "question")))
    if "Numbers" in row and re.search(r"\b(?:N_\d\d|number\d)\b", question):  # MAWPS
        raise QuestionError(f"{where}: the question has placeholders for its numbers, fill them in: {short(question)}")
    options = _options(where, values["choices"], question, mapping)
    if says_yes and not options:
        answer = {"true": "yes", "false": "no"}.get(str(answer).casefold(), answer)
    answer = parsed_list(answer)
    unasked = "the answer is a list of several" if _are_several(answer) else None
    if any(row.get(name) not in (None, "", [], {}) for name in _IMAGES):
        unasked = "it has an image, which a language model doesn't see"
    gold = answer_of(answer[0] if _are_several(answer) else answer, where)
    is_letter = re.fullmatch(r"\(?([A-Z])\)?", gold)
    if (
        is_letter
        and not options
        and ("choices" in row or {"A", "B"} <= row.keys())
        and f"{is_letter[1]})" not in question
    ):
        raise QuestionError(f"{where}: the answer is {gold} and there are no choices")
    return _Draft(
        Question(
            where=where,
            question=question,
            answer=gold,
            kinds=kinds_of(values["kind"][0], where),
            level=level_of(values["level"][0], where),
            solution=solution_of(values["solution"][0], where),
            cluster=text_of(values["cluster"][0], where, "cluster") or None,
        ),
        options,
        unasked,
    )


def _are_several(answer: Any) -> bool:
    """Whether an answer is a list of different texts or numbers, of which nobody knows whether each or all are due."""
    is_flat = isinstance(answer, list) and not any(isinstance(one, dict | list | tuple) for one in answer)
    return is_flat and len(set(map(str, answer))) > 1


def _options(where: str, given: list[Any], question: str, mapping: Mapping[str, str]) -> Options | None:
    """Options of a row: they may be missing where nobody said that they are there."""
    choices = given[0] if len(given) == 1 else given
    if "choices" not in mapping and choices in (None, "", [], {}):
        return None
    options = read_options(choices, where)
    is_first = mapping.get("answer", "answer") in mapping.get("choices", "").split(_PLUS)
    return in_any_order(options, question) if is_first else options


def _with_golds(drafts: list[_Draft], notes: tuple[str, ...], first: int | None) -> Mapped:
    """Questions with their final answers: a letter where there are options, what a worked solution ends with."""
    chosen = {
        number: choice_of(one.question.where, one.options, one.question.answer)
        for number, one in enumerate(drafts)
        if one.options and one.question.answer and not one.unasked
    }
    letters, how = letters_of(list(chosen.values()), first) if chosen else ([], "")
    letter_of = dict(zip(chosen, letters, strict=True))
    if "index" in how:
        notes = (*notes, f"the answers name their options {how}")
    questions: list[Question | LeftOut] = []
    for number, (one, options, unasked) in enumerate(drafts):
        if not one.question or not one.answer:  # refused with all others of its kind, when the rows are validated
            questions.append(one)
        elif unasked:
            questions.append(LeftOut(one.where, unasked))
        elif options:
            if why := unjudgeable(options, letter_of[number]):
                questions.append(LeftOut(one.where, why))
            else:
                shown = with_options(one.question, options)
                letter = letter_of[number]
                text = text_of_option(options, letter)
                questions.append(replace(one, question=shown, answer=letter, option=text, is_exact=True))
        else:
            try:
                gold = final_answer(one.answer)
                if misses_shown(one.question, gold.answer):
                    raise NoFinalAnswer("the answer is none of the options shown")
                answer = as_written(gold.answer, one.question) if "####" in one.answer else gold.answer
                questions.append(replace(one, answer=answer, solution=one.solution or gold.solution))
            except NoFinalAnswer as problem:
                questions.append(LeftOut(one.where, str(problem)))
    return Mapped(questions, notes)


def _values(row: Row, column: str) -> list[Any]:
    """The values of a column, of several ("Body + Question"), or of a member ("meta.passage"); None where it lacks."""
    names = [column] if column in row else column.split(_PLUS)
    return [None if value is _ABSENT else value for value in (_member(row, name) for name in names)]


def _has(row: Row, column: str) -> bool:
    return column in row or all(_member(row, name) is not _ABSENT for name in column.split(_PLUS))


def _member(row: Row, path: str) -> Any:
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _missing(key: str, column: str, row: Row, others_have_it: bool) -> str:
    if others_have_it:
        return f"there is no {column!r} for the {key}, which other rows have: give it one, or take the row out"
    return (
        f"there is no column {column!r} for the {key}; the columns are {listed(row)}. "
        f"Map the {key} to one of them {_WAY_OUT}"
    )


def _turns(turns: list[Any], where: str) -> tuple[list[Any], Any]:
    """Question and reply of a chat with one of each, and perhaps a system prompt before them."""
    said = [(one.get("role", one.get("from")), one.get("content", one.get("value"))) for one in map(_as_dict, turns)]
    said = [one for one in said if one[0] != "system"]
    if [role in ("user", "human") for role, _ in said] != [True, False]:
        raise QuestionError(f"{where}: the chat has {len(said)} turns, expected one question and one reply")
    return [said[0][1]], said[1][1]


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

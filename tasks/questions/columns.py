"""Questions from rows with any columns: finds question and answer among them, and reads their values.

Columns are named question, answer, kind, level, solution, choices, cluster, tests and entry_point, or as a published
set names them (published.py), or mapped: {"question": "Body + Question"} joins two columns, "meta.passage" is a member
of one. A question with tests asks for a program (programs.py).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from tasks.language.format import last_program
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
from tasks.questions.programs import NotJudgeable, program_asked, text_of_code
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
OPTIONAL = ("kind", "level", "solution", "choices", "cluster", "tests", "entry_point")
KNOWN = (*REQUIRED, *OPTIONAL)
SEVERAL = ("question", "choices", "tests")
_PLUS = " + "
_OPTIONS = {"options", "candidates", "alternatives", "endings", "choice"}
_GIVEN = {
    "table", "theory", "dialogue", "pre_text", "para", "paragraph", "paragraphs", "story", "document", "premise",
    "premises", "context", "passage", "narrative", "input", "background", "article", "scenario", "situation", "excerpt",
    "body",
}  # fmt: skip
"""Columns without which a question cannot be answered, if it does not repeat them."""
_LEADS = re.compile(
    "solution|rational|reason|expla|cot|thought|proof|response|generat|output|completion|answer|analysis|question|problem|query"
)
"""In the names of columns that may be longer than the question and are none of its parts."""
_IMAGE = re.compile(r"(?:\A|[^a-z])(?:image|img|picture|figure|diagram)s?(?![a-z])")
_IMAGE_SHOWN = re.compile(r"!\[[^\]]*\]\(|<image(?:[ _]?\d+)?>|<img\b|\\includegraphics\b", re.IGNORECASE)
_PROGRAM = re.compile(r"^(?:async )?def \w+\(", re.MULTILINE)
_WRAPPED = re.compile(  # DAPO's questions; an answer of its form has no box
    r"Solve the following math problem step by step\. The last line of your response should be of the form Answer: "
    r"[^\n]*\n\s*(.*?)\s*Remember to put your answer on its own line after \"Answer:\"\.\s*",
    re.DOTALL,
)
_VALID = re.compile("(?:problem|question|solution|answer)_is_valid")
_NOTHING: tuple[Any, ...] = (None, "", [], {}, False)
_SYSTEM = ("system", "developer")
_TESTS = {"test", "tests", "test_list", "challenge_test_list"}
_ABSENT = object()
_WAY_OUT = 'with `columns`, e.g. {"question": "Body + Question"} (of a benchmark: in evaluation.columns, by its name)'


class _Draft(NamedTuple):
    """A question with its answer as the source writes it. All rows together decide what the answer means."""

    question: Question
    options: Options | None
    unasked: str | None = None
    """Why it cannot be asked."""


def map_rows(rows: Iterable[tuple[str, Row]], columns: Mapping[str, str]) -> Mapped:
    """Questions from rows; `columns` maps question, answer and the OPTIONAL ones to theirs.

    Raises:
        QuestionError: a mapped or required column is missing (those that exist are listed), or a value is not what it
            should be; the message names the row.
    """
    if unknown := columns.keys() - set(KNOWN):
        raise QuestionError(f"columns: unknown {sorted(unknown)}; what can be mapped is {', '.join(KNOWN)}")
    drafts: list[_Draft] = []
    known, mapping = None, dict(columns)
    unused = _Unused()
    spare_tests: set[str] = set()
    rows = iter(rows)
    for where, row in rows:
        if not drafts and not columns.keys() & set(REQUIRED):
            known = recognised(partial(_has, row))
            mapping = (known.columns if known else {}) | dict(columns)
        for key in (*REQUIRED, *mapping):
            if not _has(row, mapping.get(key, key)):
                others = True if drafts else any(_has(other, mapping.get(key, key)) for _, other in rows)
                raise QuestionError(f"{where}: {_missing(key, mapping.get(key, key), row, others)}")
        options = [name for name in row if name.casefold() in _OPTIONS]
        if options and "choices" not in mapping and "choices" not in row:
            raise QuestionError(
                f"{where}: the column {options[0]!r} seems to hold options: map choices to it {_WAY_OUT}"
            )
        if "question" not in columns:
            unused.see(where, row, mapping)
        if tests := mapping.get("tests"):
            spare_tests |= {name for name in _TESTS - {*tests.split(_PLUS)} if row.get(name) not in _NOTHING}
        drafts.append(_draft(where, row, mapping, says_yes=known is not None and known.says_yes))
    said = "; ".join(f"{key}: {column}" for key, column in (known.columns if known else {}).items())
    notes: tuple[str, ...] = (f"the columns are those of {known.name} ({said})",) if known else ()
    if spare_tests:
        notes += (
            f"tests that judge no program: {listed(sorted(spare_tests))}; map tests to them, too, if they can run",
        )
    if known is None or known.is_any:
        notes += unused.told(len(drafts), mapping.get("question", "question"))
    return _with_golds(drafts, notes, first=known.first if known else None)


class _Unused:
    """Columns that nothing is read from, and system prompts: what differs from row to row may be of the question."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._varying: set[str] = set()
        self._longer: Counter[str] = Counter()
        self._system: str | None = None

    def see(self, where: str, row: Row, mapping: Mapping[str, str]) -> None:
        """One row of the source.

        Raises:
            QuestionError: it holds what its question is asked of, or has another system prompt than those before.
        """
        asked = mapping.get("question", "question")
        used = {name for key in KNOWN for name in mapping.get(key, key).split(_PLUS)}
        question = "\n".join(value for value in _values(row, asked) if isinstance(value, str)).strip()
        for name, value in row.items():
            if name in used or any(one.startswith(f"{name}.") for one in used) or value in _NOTHING:
                continue
            if isinstance(value, str) and question and (question in value or value.strip() in question):
                continue  # a copy
            if name.casefold() in _GIVEN:
                raise QuestionError(f"{where}: {_belongs(name, asked)}")
            if isinstance(value, str) and " " in value.strip():
                if self._texts.setdefault(name, value) != value:
                    self._varying.add(name)
                self._longer[name] += len(value) > len(question)
        system = "\n".join(str(one.get("content", one.get("value"))) for one in _system_turns(_values(row, asked)))
        if self._system not in (None, system):
            raise QuestionError(
                f"{where}: the system prompt is another than in the rows before, so it belongs to the question: write "
                f"it into the question ({short(system)})"
            )
        self._system = system

    def told(self, rows: int, asked: str) -> tuple[str, ...]:
        """A note of the texts that differ from row to row and are not used.

        Raises:
            QuestionError: most of the texts of one of them are longer than their questions.
        """
        for name in sorted(self._varying):
            if 2 * self._longer[name] > rows and not _LEADS.search(name.casefold()):
                raise QuestionError(_belongs(name, asked))
        return (f"columns that are not used: {listed(sorted(self._varying))}",) if self._varying else ()


def _belongs(name: str, asked: str) -> str:
    return (
        f"the column {name!r} seems to belong to the question: map question to {_PLUS.join([name, asked])!r}, or to "
        f"{asked!r} alone, {_WAY_OUT}"
    )


def _system_turns(values: list[Any]) -> list[dict[str, Any]]:
    turns = [turn for value in values if isinstance(value, list) for turn in map(_as_dict, value)]
    return [turn for turn in turns if turn.get("role", turn.get("from")) in _SYSTEM]


def _draft(where: str, row: Row, mapping: Mapping[str, str], *, says_yes: bool) -> _Draft:
    values = {key: _values(row, mapping.get(key, key)) for key in KNOWN}
    for key, several in values.items():
        if len(several) > 1 and key not in SEVERAL:
            raise QuestionError(f"columns: the {key} is one column, only {', '.join(SEVERAL)} can be several")
    tests = values["tests"][0]
    is_tested = tests not in _NOTHING and text_of_code(tests, where, "tests")
    if "tests" in mapping or is_tested or ("tests" in row and _PROGRAM.search(str(values["answer"][0]))):
        return _program(where, values)
    asked, answer = values["question"], values["answer"][0]
    if isinstance(answer, list) and asked[0] is answer:
        asked, answer = _turns(answer, where)
    question = "\n".join(text for one in asked if (text := text_of(one, where, "question")))
    if wrapped := _WRAPPED.fullmatch(question):
        question = wrapped[1]
    if "Numbers" in row and re.search(r"\b(?:N_\d\d|number\d)\b", question):  # MAWPS
        raise QuestionError(f"{where}: the question has placeholders for its numbers, fill them in: {short(question)}")
    options = _options(where, values["choices"], question, mapping)
    if says_yes and not options:
        answer = {"true": "yes", "false": "no"}.get(str(answer).casefold(), answer)
    answer = parsed_list(answer)
    unasked = "the answer is a list of several" if _are_several(answer) else None
    if _IMAGE_SHOWN.search(question) or any(row[name] not in _NOTHING for name in row if _is_image(name)):
        unasked = "it has an image, which a language model doesn't see"
    unasked = unasked or _own_verdict(row)
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


def _program(where: str, values: Mapping[str, list[Any]]) -> _Draft:
    described, tests = (
        "\n".join(text_of_code(one, where, key) for one in values[key]) for key in ("question", "tests")
    )
    reference = text_of_code(values["answer"][0], where, "answer")
    entry_point = text_of(values["entry_point"][0], where, "entry point")
    if reference.lstrip().startswith("```"):
        reference = last_program(reference, entry_point) or reference
    about = Question(
        where=where,
        question=described,
        answer=reference,
        kinds=kinds_of(values["kind"][0], where),
        level=level_of(values["level"][0], where),
        cluster=text_of(values["cluster"][0], where, "cluster") or None,
    )
    try:
        asked = program_asked(where, described, reference, tests, entry_point)
    except NotJudgeable as problem:
        return _Draft(about, None, str(problem))
    shown = replace(about, question=asked.question, answer=asked.answer, specification=asked.specification)
    return _Draft(shown, None)


def _is_image(name: str) -> bool:
    return _IMAGE.search(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).casefold()) is not None


def _own_verdict(row: Row) -> str | None:
    """What a row says that is wrong with itself, in the words of its column; None where it says nothing of the kind."""
    for name, value in row.items():
        said = str(value).strip().casefold()
        is_bad = (
            (name == "error_type" and "correct_answer" in row and said not in ("ok", "none", ""))  # MMLU-Redux
            or (_VALID.fullmatch(name) and said not in ("yes", "true", "1", "none", ""))  # NuminaMath 1.5
            or (name == "is_correct" and said in ("false", "no", "0"))
        )
        if is_bad:
            return f"its {name} is {short(value)}"
    return None


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
        elif one.specification:
            questions.append(one)
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
    said = [one for one in said if one[0] not in _SYSTEM]
    if [role in ("user", "human") for role, _ in said] != [True, False]:
        raise QuestionError(f"{where}: the chat has {len(said)} turns, expected one question and one reply")
    return [said[0][1]], said[1][1]


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

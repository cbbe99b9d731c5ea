"""Rows of files in CPL_DATA in the columns of the harness's own data sets, so that its prompts are the same.

A row is read strictly: what a prompt or a gold is made of is a text that is not empty, and a gold is one of the
options. Where a file keeps less than the hub, `note` says how prompts differ; it stands beside the task's version.

Every reader raises QuestionError, which says what is wrong and not where: that knows who has the file.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from string import ascii_uppercase
from typing import Any

from tasks.questions.values import QuestionError, short

Row = dict[str, Any]
Columns = Callable[[Mapping[str, Any]], Row]


def gsm8k(row: Mapping[str, Any]) -> Row:
    """The hub's own rows, whose answer ends in ####, or those whose solution stands beside it."""
    answer = text(row, "answer")
    if "####" not in answer:
        meta = row.get("meta") or {}
        raw = text(meta, "answer_raw") if "answer_raw" in meta else answer
        answer = f"{text(row, 'solution')}\n#### {raw}"
    return {"question": text(row, "question"), "answer": answer}


def arc(row: Mapping[str, Any]) -> Row:
    choices = _choices(row, "choices")
    return {
        "question": text(row, "question"),
        "choices": {"text": choices, "label": list(ascii_uppercase[: len(choices)])},
        "answerKey": ascii_uppercase[_letter(row, choices)],
    }


def mmlu(row: Mapping[str, Any]) -> Row:
    choices = _choices(row, "choices", 4)
    return {
        "question": text(row, "question"),
        "subject": subject(row),
        "choices": choices,
        "answer": _letter(row, choices),
    }


def subject(row: Mapping[str, Any]) -> str:
    return text(row, "meta.subject")


REBUILT = "contexts that end in a fragment are taken apart where it begins in lower case"
_FRAGMENT = re.compile(r"""(.*[.!?]['"]?)\s+([a-z][^.!?]*)""", re.DOTALL)


def hellaswag(row: Mapping[str, Any]) -> Row:
    """The authors' own rows; or contexts that are joined, "activity: ctx_a ctx_b".

    The harness writes ctx_b with a capital letter. What a joined context ends in is taken for ctx_b where it is no
    whole sentence and begins in lower case: all but a few of those that end so.
    """
    if "ctx_a" in row:
        endings = _choices(row, "endings", 4)
        return {
            "activity_label": text(row, "activity_label"),
            "ctx_a": text(row, "ctx_a"),
            "ctx_b": text(row, "ctx_b") if row.get("ctx_b") else "",
            "endings": endings,
            "label": str(_number(row, "label", len(endings))),
        }
    activity, colon, context = text(row, "question").partition(": ")
    if not colon:
        raise QuestionError(f"question is {short(activity)}, expected an activity, a colon and a context")
    parts = _FRAGMENT.fullmatch(context.rstrip())
    endings = _choices(row, "choices", 4)
    return {
        "activity_label": activity,
        "ctx_a": parts[1] if parts else context,
        "ctx_b": parts[2] if parts else "",
        "endings": endings,
        "label": str(_letter(row, endings)),
        "note": REBUILT,
    }


UNTITLED = "passages without their titles"


def boolq(row: Mapping[str, Any]) -> Row:
    """SuperGLUE's own rows, whose passages begin with a title; or a passage and perhaps a title in `meta`."""
    if "label" in row:
        return {
            "passage": text(row, "passage"),
            "question": text(row, "question"),
            "label": _number(row, "label", 2),
        }
    passage, title = text(row, "meta.passage"), (row.get("meta") or {}).get("title")
    if row.get("answer") not in ("no", "yes"):
        raise QuestionError(f"answer is {short(row.get('answer'))}, expected yes or no")
    return {
        "passage": f"{text(row, 'meta.title')} -- {passage}" if title else passage,
        "question": text(row, "question"),
        "label": ("no", "yes").index(row["answer"]),
        "note": "" if title else UNTITLED,
    }


def piqa(row: Mapping[str, Any]) -> Row:
    first, second = _choices(row, "choices", 2)
    return {"goal": text(row, "question"), "sol1": first, "sol2": second, "label": _letter(row, (first, second))}


def bbh(row: Mapping[str, Any]) -> Row:
    """A lettered option's target is written in brackets."""
    answer = text(row, "answer")
    if row.get("choices"):
        answer = f"({ascii_uppercase[_letter(row, _choices(row, 'choices'))]})"
    return {"input": text(row, "question"), "target": answer}


def bbh_task(row: Mapping[str, Any]) -> str:
    return text(row, "meta.task")


def humaneval(row: Mapping[str, Any]) -> Row:
    return {
        "prompt": text(row, "question"),
        "canonical_solution": text(row, "answer"),
        "test": text(row, "meta.test"),
        "entry_point": text(row, "meta.entry_point"),
    }


def math(row: Mapping[str, Any]) -> Row:
    r"""MATH as its authors wrote it, which nobody but the user supplies. A solution has its answer in \boxed."""
    from lm_eval.tasks.hendrycks_math.utils import last_boxed_only_string, remove_boxed

    found = {name: text(row, name) for name in ("problem", "solution")}
    try:
        remove_boxed(last_boxed_only_string(found["solution"]))
    except (AssertionError, TypeError, IndexError):
        raise QuestionError(
            f"solution is {short(found['solution'])}, expected one with \\boxed{{its answer}}"
        ) from None
    return found


MATH_TASKS = {
    "Algebra": "algebra",
    "Counting & Probability": "counting_and_prob",
    "Geometry": "geometry",
    "Intermediate Algebra": "intermediate_algebra",
    "Number Theory": "num_theory",
    "Prealgebra": "prealgebra",
    "Precalculus": "precalc",
}
"""The harness's tasks by the type of a problem."""


def math_task(row: Mapping[str, Any]) -> str:
    kind = text(row, "type")
    if kind not in MATH_TASKS:
        raise QuestionError(f"type is {short(kind)}, expected one of {', '.join(MATH_TASKS)}")
    return MATH_TASKS[kind]


def gpqa(row: Mapping[str, Any]) -> Row:
    """GPQA as its authors wrote it, which nobody but the user supplies."""
    wrong = [f"Incorrect Answer {number}" for number in (1, 2, 3)]
    return {name: text(row, name) for name in ("Question", "Correct Answer", *wrong)}


def text(row: Mapping[str, Any], path: str) -> str:
    """The text in a column, or in a column's member (meta.subject). A number is one as it is written."""
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return _text(value, path)


def _text(value: Any, what: str) -> str:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise QuestionError(f"{what} is {short(value)}, expected a text")
    return value


def _choices(row: Mapping[str, Any], column: str, count: int | None = None) -> list[str]:
    given: Any = row.get(column)
    fits = isinstance(given, list) and 0 < len(given) <= len(ascii_uppercase) and len(given) == (count or len(given))
    if not fits:
        raise QuestionError(f"{column} is {short(given)}, expected a list of {count or 'some'} texts")
    return [_text(one, f"one of {column}") for one in given]


def _letter(row: Mapping[str, Any], choices: "list[str] | tuple[str, ...]") -> int:
    """The place of the option that the answer, a letter, stands for."""
    letters, answer = list(ascii_uppercase[: len(choices)]), row.get("answer")
    if answer not in letters:
        raise QuestionError(f"answer is {short(answer)}, expected a letter from A to {letters[-1]}")
    return letters.index(answer)


def _number(row: Mapping[str, Any], column: str, count: int) -> int:
    """The place of an option, as the hub has it: a number from 0, which may be written as a text."""
    numbers, value = [str(number) for number in range(count)], row.get(column)
    if isinstance(value, bool) or str(value) not in numbers:
        raise QuestionError(f"{column} is {short(value)}, expected a number from 0 to {count - 1}")
    return numbers.index(str(value))

"""From whatever a source holds to validated rows of the table `questions` (records.py)."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from tasks.records import frame


class QuestionError(ValueError):
    """Questions that cannot be used: the message names the file, row or field, and the way out."""


@dataclass(frozen=True)
class Question:
    """One question as a source gives it; `where` names its place ("train.jsonl, line 7") in messages.

    `level` is the difficulty in the source's own scale, 0 where it has none; `kinds` are operations or
    subjects.
    """

    where: str
    question: str
    answer: str
    kinds: tuple[str, ...] = ()
    level: int = 0
    solution: str | None = None


class Loaded(NamedTuple):
    """Rows of `questions`, and what a user should know of how they came about (left out, duplicates, ...)."""

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def as_rows(questions: Iterable[Question], source: str, split: str) -> Loaded:
    """Validated rows with stable ids such as "gsm8k/train/1f3a5b7c9d0e2f46"; duplicates are removed and
    counted.

    Raises:
        QuestionError: no question at all, or questions without a text or an answer.
    """
    rows: dict[str, dict[str, object]] = {}
    count, empty, unanswered = 0, [], []
    for one in questions:
        count += 1
        if not one.question.strip():
            empty.append(one.where)
        elif not one.answer.strip():
            unanswered.append(one.where)
        else:
            rows.setdefault(fold(one.question), _row(one, source, split))
    for places, what in ((empty, "no question"), (unanswered, "a question but no answer")):
        if places:
            raise QuestionError(f"{source}: {len(places)} rows have {what}: {_first(places)}")
    if not rows:
        raise QuestionError(f"{source}: there is no question in split {split!r}")
    removed = count - len(rows)
    notes = (f"{source}: {removed} of {count} questions were duplicates and are left out",) if removed else ()
    return Loaded(frame("questions", rows.values()), notes)


def question_id(source: str, split: str, question: str) -> str:
    """The same for the same text, wherever it is read from and in whatever order."""
    return f"{source}/{split}/{hashlib.sha256(question.strip().encode()).hexdigest()[:16]}"


def fold(text: str) -> str:
    """A text without case, white space and punctuation; numbers and signs of arithmetic stay: 3 + 5 is not 3 - 5."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3})|(?<=[^\W\d_])[-'’](?=[^\W\d_])", "", text)
    return " ".join(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+|[-+*/=<>^%|]", text))


def _row(one: Question, source: str, split: str) -> dict[str, object]:
    return {
        "question_id": question_id(source, split, one.question),
        "source": source,
        "split": split,
        "kinds": list(one.kinds),
        "level": one.level,
        "question": one.question.strip(),
        "answer": one.answer.strip(),
        "solution": one.solution,
        "is_held_out": False,
    }


def _first(places: list[str], most: int = 5) -> str:
    return "; ".join(places[:most]) + ("; ..." if len(places) > most else "")

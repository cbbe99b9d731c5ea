"""Validated rows of the table `questions` from the questions of any source."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import polars as pl

from tasks.check.equivalence import is_equal_at_sight
from tasks.questions.folding import fold
from tasks.questions.values import QuestionError, short
from tasks.records import TABLES

OF_PROGRAMS = pl.Schema({"prompt": pl.String(), "test": pl.String(), "entry_point": pl.String()})
"""Columns of the table `questions` that say by what a program is judged: here one, the `specification`."""
OF_BENCHMARKS = pl.Schema({"cluster": pl.String(), "specification": pl.Struct(OF_PROGRAMS)})
"""Columns that a question has where it scores a model, beside those of the table `questions`."""
OF_ALL = pl.Schema({name: of for name, of in TABLES["questions"].items() if name not in OF_PROGRAMS})
"""Columns of the table `questions` that each question has."""


@dataclass(frozen=True)
class Specification:
    """Of a program that is asked for: its start, up to the docstring of the function `entry_point`, and its tests,
    which call that."""

    prompt: str
    test: str
    entry_point: str


@dataclass(frozen=True)
class Question:
    """One question as a source gives it; `where` names its place ("train.jsonl, line 7") in messages.

    `level` is the difficulty in the source's own scale, 0 where it has none; `kinds` are operations or subjects.
    `option`: the text of the right option, which an answer may give in the place of its letter. `is_exact`: a right
    answer is the same text, not another of the same value. `cluster`: the template that it and others are made from.
    `specification`: a program is asked for, whose tests judge it; `answer` is one that passes.
    """

    where: str
    question: str
    answer: str
    kinds: tuple[str, ...] = ()
    level: int = 0
    solution: str | None = None
    option: str | None = None
    is_exact: bool = False
    cluster: str | None = None
    specification: Specification | None = None


@dataclass(frozen=True)
class LeftOut:
    """A row that is well formed and cannot be asked, because no answer to it could be judged."""

    where: str
    why: str


class Mapped(NamedTuple):
    """Questions of rows, and what a user should know of how they were read."""

    questions: list[Question | LeftOut]
    notes: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """Rows of `questions` (the columns OF_ALL and OF_BENCHMARKS), and what a user should know of how they came about
    (left out, duplicates, ...)."""

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def as_rows(questions: Iterable[Question | LeftOut], source: str, split: str, notes: Iterable[str] = ()) -> Loaded:
    """Validated rows with stable ids such as "gsm8k/train/1f3a5b7c9d0e2f46".

    Left out, counted and told by their places: `LeftOut`, duplicates, and questions that are there with two answers, of
    which nobody knows the right one.

    Raises:
        QuestionError: a question without text or answer, none at all, or more left out than kept.
    """
    questions = list(questions)
    alike: dict[str, list[Question]] = defaultdict(list)
    left_out: dict[str, list[str]] = defaultdict(list)
    empty, unanswered = list[str](), list[str]()
    for one in questions:
        if isinstance(one, LeftOut):
            left_out[one.why].append(one.where)
        elif not one.question.strip():
            empty.append(one.where)
        elif not one.answer.strip():
            unanswered.append(one.where)
        else:
            alike[fold(one.question)].append(one)
    for places, what in ((empty, "no question"), (unanswered, "a question but no answer")):
        if places:
            has = f"{len(places)} rows have" if len(places) > 1 else "1 row has"
            raise QuestionError(f"{source}: {has} {what}: {_first(places)}")
    kept, repeated = list[Question](), list[str]()
    for first, *others in alike.values():
        if all(_agree(first, other) for other in others):
            kept.append(first)
            repeated.extend(other.where for other in others)
        else:
            said = " and ".join(f"{one.where} says {short(one.answer)}" for one in (first, *others))
            left_out["one question with several answers"].append(said)
    told = [f"{source}: {len(places)} questions left out: {why} ({_first(places)})" for why, places in left_out.items()]
    if sum(map(len, left_out.values())) > len(kept) or not kept:  # the wrong column rather than a few bad rows
        what = "most questions cannot be asked" if kept else f"there is no question in split {split!r}"
        raise QuestionError("; ".join([f"{source}: {what}", *told]))
    if repeated:
        count = f"{len(repeated)} of {len(questions)} questions"
        told.append(f"{source}: {count} were duplicates and are left out ({_first(repeated)})")
    schema = {**OF_ALL, **OF_BENCHMARKS}
    return Loaded(pl.DataFrame([_row(one, source, split) for one in kept], schema=schema), (*notes, *told))


def _agree(one: Question, other: Question) -> bool:
    """Whether two questions of one text are judged alike. Programs that pass the same tests may differ."""
    if one.specification or other.specification:
        return one.specification == other.specification
    return bool(is_equal_at_sight(one.answer, other.answer))


def question_id(source: str, split: str, question: str) -> str:
    """The same for the same text, wherever it is read from and in whatever order; it can be part of a path."""
    return f"{slug(source)}/{slug(split)}/{hashlib.sha256(question.strip().encode()).hexdigest()[:16]}"


def slug(name: str) -> str:
    """A name that can be part of an id."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "questions"


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
        "option": one.option,
        "is_exact": one.is_exact,
        "is_held_out": False,
        "cluster": one.cluster,
        "specification": asdict(one.specification) if one.specification else None,
    }


def _first(places: list[str], most: int = 5) -> str:
    return "; ".join(places[:most]) + ("; ..." if len(places) > most else "")

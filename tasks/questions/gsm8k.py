"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): 7,473 questions to train on, 1,319 to test.

{"question": "Natalia sold clips to 48 of her friends in April, and then ...",
 "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\\n...\\n#### 72"}

Where it asks for a percentage its answers are bare numbers, and "60\\%" would be wrong, for a percent sign that is
given counts. They get the sign here, which an answer may leave out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.questions.places import BESIDE, HubUnreachable, data_folder, hub_commit, hub_rows
from tasks.questions.rows import Loaded, Question, QuestionError, as_rows
from tasks.questions.tables import read_table

HUB = "openai/gsm8k"
_ASKS_PERCENT = re.compile(
    r"\bwhat(?:[’']s)?(?: (?:is|are|was|were|will|would|be|the))* (?:percent\b|%)|"
    r"\bwhat(?:[’']s)?(?: [a-z]+){0,4} percentage\b|"  # not "what must she score so that her percentage is 90?"
    r"\b(?:as|in) (?:a )?percent(?:age)?\b",
    re.IGNORECASE,
)
_KINDS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


def load(split: str) -> Loaded:
    """GSM8K from CPL_DATA/gsm8k/SPLIT.jsonl.gz where that is set, else the hub, else ../shared/data.

    `level` is the number of calculations of the reference solution, `kinds` are the operations among them.

    Raises:
        QuestionError: it is nowhere; the message says where it was looked for.
    """
    found = find(split)
    if isinstance(found, Path):
        loaded = as_rows(_questions(read_table(found)), "gsm8k", split)
        note = f"gsm8k: {loaded.frame.height} {split} questions from the file {found.name}, not from the hub"
        return loaded._replace(notes=(*loaded.notes, note))
    try:
        return as_rows(_questions(hub_rows(found, "main", split)), "gsm8k", split)
    except HubUnreachable as problem:
        # A hub that named its commit and then fails is no reason to read the file: the cache key has the commit.
        path = _file(split)
        file = f"the file {path} is for where no hub answers" if path.is_file() else f"there is no file {path}"
        raise QuestionError(
            f"gsm8k, split {split!r}, was not found: {problem}; {file}. Allow access to the "
            f"hub, or set CPL_DATA to a folder with gsm8k/{split}.jsonl.gz (fields question, answer)"
        ) from problem


def find(split: str) -> Path | str:
    """What `load` reads: the file, below CPL_DATA or where no hub answers; else the name of the hub's data set."""
    path = _file(split)
    return path if path.is_file() and (data_folder() or not hub_commit(HUB)) else HUB


def _file(split: str) -> Path:
    return (data_folder() or BESIDE) / "gsm8k" / f"{split}.jsonl.gz"


def _questions(rows: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[Question]:
    for where, row in rows:
        if not {"question", "answer"} <= row.keys():
            raise QuestionError(f"{where}: expected question and answer, found {', '.join(row)}")
        # The hub's answer holds solution and final answer; files may hold them apart.
        solution, _, final = str(row["answer"] or "").rpartition("####")
        solution = solution.strip() or row.get("solution") or ""
        calculations = re.findall(r"<<([^=>]*)=", solution)
        used = {kind for calculation in calculations for sign, kind in _KINDS.items() if sign in calculation}
        question = str(row["question"] or "")
        answer = re.sub(r"(?<=\d),(?=\d{3})", "", final.strip())
        yield Question(
            where=where,
            question=question,
            answer=rf"{answer}\%" if answer[-1:].isdigit() and asks_percentage(question) else answer,
            kinds=tuple(kind for kind in _KINDS.values() if kind in used),
            level=len(calculations),
            solution=solution or None,
        )


def asks_percentage(question: str) -> bool:
    """Whether the last thing that is asked is a percentage: the rest may mention some, and ask for others."""
    return _ASKS_PERCENT.search(" ".join(question.rsplit("?", 2)[-2:])) is not None

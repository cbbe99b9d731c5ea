"""BIG-Bench Hard (Suzgun et al. 2022, arXiv 2210.09261): 6,511 questions of 27 tasks, whose name is the kind.

{"input": "... Options:\\n(A) today\\n(B) never", "target": "(B)"}, or a target that is a word, a number, a list.

Lettered options are read from the question, which shows them. Numbers are right by their value, all else by its text.
A brace that closes (dyck_languages) is written as it must be in a box, which it would end.
"""

import re
from dataclasses import replace

from tasks.check.numerals import exact_value
from tasks.questions.columns import map_rows
from tasks.questions.places import Read
from tasks.questions.rows import Mapped, Question
from tasks.questions.values import Row

_OPTION = re.compile(r"^\(([A-Z])\) +(.*\S)", re.MULTILINE)
_LETTER = re.compile(r"\(?([A-Z])\)?")


def questions(read: Read) -> Mapped:
    """From rows of the hub, where the config is the task, or of a file."""
    mapped = map_rows(((where, _row(row)) for where, row in read.rows), {})
    return mapped._replace(
        questions=[
            replace(one, is_exact=True) if isinstance(one, Question) and exact_value(one.answer) is None else one
            for one in mapped.questions
        ]
    )


def _row(row: Row) -> Row:
    asked, target = row.get("input", row.get("question")), row.get("target", row.get("answer"))
    shown = dict(_OPTION.findall(str(asked)))
    letter = _LETTER.fullmatch(str(target))
    has_options = letter is not None and letter[1] in shown
    return {
        "question": asked,
        "answer": letter[1] if letter and has_options else str(target).replace("}", r"\}"),
        "choices": list(shown.values()) if has_options else None,
        "kind": row.get("config") or row.get("meta", {}).get("task"),
    }

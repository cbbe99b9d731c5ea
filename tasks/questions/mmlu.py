"""MMLU (Hendrycks et al. 2020, arXiv 2009.03300): 14,042 test questions of 57 subjects, which are the kinds.

{"question": "...", "subject": "astronomy", "choices": ["...", "...", "...", "..."], "answer": 1}
"""

from tasks.questions.columns import map_rows
from tasks.questions.places import Read
from tasks.questions.rows import Mapped
from tasks.questions.values import Row

STEM = (
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "electrical_engineering",
    "elementary_mathematics",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_mathematics",
    "high_school_physics",
    "high_school_statistics",
    "machine_learning",
)
"""The group mmlu_stem of the lm-evaluation-harness: 3,153 questions. The authors' own has no anatomy: 3,018."""


def questions(read: Read) -> Mapped:
    return map_rows(((where, _row(row)) for where, row in read.rows), {})


def stem(read: Read) -> Mapped:
    """Those of the STEM group."""
    rows = ((where, _row(row)) for where, row in read.rows)
    return map_rows(((where, row) for where, row in rows if row["kind"] in STEM), {})


def _row(row: Row) -> Row:
    subject = row["subject"] if "subject" in row else row["meta"]["subject"]
    return {**{name: row.get(name) for name in ("question", "choices", "answer")}, "kind": subject}

"""Rows of files in CPL_DATA in the columns of the harness's own data sets, so that its prompts are the same.

Where a set's file keeps less than the hub's (HellaSwag's context is joined, say), it is what the harness makes of it.
Each keeps its `id`.
"""

from collections.abc import Callable, Mapping
from string import ascii_uppercase
from typing import Any

Row = dict[str, Any]
Columns = Callable[[Mapping[str, Any]], Row]


def gsm8k(row: Mapping[str, Any]) -> Row:
    raw = row["meta"].get("answer_raw", row["answer"])
    return {"question": row["question"], "answer": f"{row['solution']}\n#### {raw}"}


def arc(row: Mapping[str, Any]) -> Row:
    labels = list(ascii_uppercase[: len(row["choices"])])
    return {
        "question": row["question"],
        "choices": {"text": row["choices"], "label": labels},
        "answerKey": row["answer"],
    }


def mmlu(row: Mapping[str, Any]) -> Row:
    return {
        "question": row["question"],
        "subject": row["meta"]["subject"],
        "choices": row["choices"],
        "answer": ascii_uppercase.index(row["answer"]),
    }


def hellaswag(row: Mapping[str, Any]) -> Row:
    return {
        "query": row["question"],
        "choices": row["choices"],
        "label": str(ascii_uppercase.index(row["answer"])),
    }


def boolq(row: Mapping[str, Any]) -> Row:
    return {
        "passage": row["meta"]["passage"],
        "question": row["question"],
        "label": ("no", "yes").index(row["answer"]),
    }


def piqa(row: Mapping[str, Any]) -> Row:
    first, second = row["choices"]
    return {"goal": row["question"], "sol1": first, "sol2": second, "label": ascii_uppercase.index(row["answer"])}


def bbh(row: Mapping[str, Any]) -> Row:
    """A lettered option's target is written in brackets."""
    return {"input": row["question"], "target": f"({row['answer']})" if row.get("choices") else row["answer"]}


def humaneval(row: Mapping[str, Any]) -> Row:
    kept = ("task_id", "test", "entry_point")
    return {
        "prompt": row["question"],
        "canonical_solution": row["answer"],
        **{name: row["meta"][name] for name in kept},
    }


def math(row: Mapping[str, Any]) -> Row:
    """MATH as its authors wrote it, which nobody but the user supplies."""
    return {name: row[name] for name in ("problem", "solution", "level", "type")}


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


def gpqa(row: Mapping[str, Any]) -> Row:
    """GPQA as its authors wrote it, which nobody but the user supplies."""
    wrong = [f"Incorrect Answer {number}" for number in (1, 2, 3)]
    return {name: row[name] for name in ("Question", "Correct Answer", *wrong)}

"""The stage *second_opinions*: every judged answer of a round is counted, and each pair is asked once."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from infra.store import Ref
from tasks import records
from tasks.stages import second_opinions as stage
from tasks.stages.second_opinions import ask_second_opinions, notes
from tests.tasks.running.local_stage import LocalStage

TABLES: dict[str, dict[str, list[Any]]] = {
    "questions": {"questions": [("q1", "5", None), ("q2", "7", None), ("q3", "return 5", "assert f() == 5")]},
    "trees": {
        "trees": [("t1", "q1"), ("t2", "q2"), ("t3", "q3")],
        "nodes": [
            ("t1", None, None),
            ("t1", "5", 1.0),
            ("t1", "5", 1.0),
            ("t1", "6", -1.0),
            ("t1", "9^9", None),
            ("t2", "5", -1.0),
            ("t2", None, -1.0),
            ("t3", "return 5", 1.0),
        ],
    },
    "benchmarks": {"benchmarks": [("b", "b1", "5"), ("c", "b1", "8"), ("programs", "b1", "return 5")]},
    "standard": {"benchmarks": [("gsm8k", "b1", "5")]},
    "sft": {
        "evaluation_samples": [
            ("b", "b1", "plan", "answer", "5", "right"),
            ("c", "b1", "plan", "answer", "5", "wrong"),
            ("c", "b1", "plan", "answer", "8x", "undecided"),
            ("c", "b1", "plan", "answer", None, "unparsable"),
            ("b", "b1", "plan", "answer", None, "failed"),
            ("programs", "b1", "plan", "pass@1", "passed", "right"),
        ]
    },
    "base": {"evaluation_samples": [("b", "b1", "plan", "answer", "5", "right")]},
    "harness_base": {
        "evaluation_samples": [
            ("gsm8k", "b1", "standard", "exact_match,strict-match", "[invalid]", "unparsable"),
            ("gsm8k", "b1", "standard", "exact_match,flexible-extract", "4", "wrong"),
            ("gsm8k", "b1", "standard", "exact_match,strict-match", "4", "wrong"),
            ("piqa", "b1", "standard", "acc", None, "right"),
        ]
    },
}
COLUMNS = {
    "questions": ["question_id", "answer", "test"],
    "trees": ["tree_id", "question_id"],
    "nodes": ["tree_id", "answer", "reward"],
    "benchmarks": ["benchmark", "question_id", "answer"],
    "evaluation_samples": ["benchmark", "question_id", "form", "metric", "answer", "outcome"],
}


def a_ref(name: str) -> Ref:
    return Ref(uri=f"s3://cpl/{name}/manifest.json", sha256="0" * 64, rows=1)


@pytest.mark.parametrize("asks_programs", [True, False])
def test_every_terminal_and_sample_with_an_answer_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asks_programs: bool
) -> None:
    """Programs are none, and a round without them has no columns of theirs."""
    place = LocalStage(tmp_path)
    for name, tables in TABLES.items():
        for table, rows in tables.items():
            types = records.TABLES["questions" if table == "benchmarks" else table] | {"benchmark": pl.String()}
            schema = {column: types[column] for column in COLUMNS[table]}
            pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / f"{name}-{table}.parquet")
    if not asks_programs:
        questions = pl.read_parquet(tmp_path / "questions-questions.parquet").filter(pl.col("test").is_null())
        questions.drop("test").write_parquet(tmp_path / "questions-questions.parquet")
    where: Any = SimpleNamespace(fetch=lambda ref, file: tmp_path / f"{ref.uri.split('/')[-2]}-{file}")
    place.store = where
    asked: list[tuple[str, str]] = []

    def equal_texts(pairs: Iterable[tuple[str, str]]) -> list[str]:
        asked.extend(pairs)
        return ["right" if gold == answer else "wrong" for gold, answer in asked]

    monkeypatch.setattr(stage, "second_opinions", equal_texts)
    refs = {name: a_ref(name) for name in TABLES}
    evaluations = {name: refs[name] for name in ("base", "sft", "harness_base")}
    benchmarks = {"plan": refs["benchmarks"], "standard": refs["standard"]}
    ask_second_opinions.body(place, refs["questions"], {"trees": refs["trees"]}, benchmarks, evaluations)
    assert sorted(place.written("second_opinions").rows()) == [
        ("benchmark", "b", "answer", "5", "5", "right", "right", 2),
        ("benchmark", "c", "answer", "8", "5", "wrong", "wrong", 1),
        ("benchmark", "c", "answer", "8", "8x", "undecided", "wrong", 1),
        ("harness", "gsm8k", "exact_match,flexible-extract", "5", "4", "wrong", "wrong", 1),
        ("harness", "gsm8k", "exact_match,strict-match", "5", "4", "wrong", "wrong", 1),
        ("search", "trees", None, "5", "5", "right", "right", 2),
        ("search", "trees", None, "5", "6", "wrong", "wrong", 1),
        ("search", "trees", None, "5", "9^9", "undecided", "wrong", 1),
        ("search", "trees", None, "7", "5", "wrong", "wrong", 1),
    ]
    assert len(asked) == len(set(asked)) == place.facts["pairs"] == 7
    assert place.facts["notes"] == []


def test_a_note_tells_of_the_answers_that_both_decided_and_judge_otherwise() -> None:
    rows = [("right", "right", 90), ("right", "wrong", 6), ("wrong", "right", 4), ("wrong", "unread", 50)]
    told = [*(("search", *row) for row in rows), ("harness", "right", "wrong", 7)]
    assert list(notes(pl.DataFrame(told, schema=["origin", "ours", "theirs", "times"], orient="row"))) == [
        "math-verify judges 10 of 100 answers otherwise (10.0%): 6 that are right here are wrong there, 4 the other "
        "way round (view label_noise)"
    ]

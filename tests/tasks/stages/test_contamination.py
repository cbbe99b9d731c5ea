"""The stage *contamination*, by the micro model's tokens."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from infra.store import Ref
from tasks.questions import ContaminatedQuestions
from tasks.stages import contamination
from tasks.stages.contamination import find_contamination, refuse_contaminated
from tests.sql.handmade import plan, solution
from tests.tasks.running.local_stage import LocalStage

TOKENIZER = Path("tasks/micro/base/tokenizer.json")
ASKED = "Ann has 27 coins. Ann finds 4 boxes of 6 coins. How many coins has Ann?"


class Stages(LocalStage):
    """A workplace whose earlier stages hold these tables, one each."""

    def __init__(self, folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
        super().__init__(folder)
        self.tables = tables
        for name, rows in tables.items():
            rows.write_parquet(folder / f"{name}.parquet")
        shutil.copy(TOKENIZER, folder / "tokenizer.json")
        self.store: Any = SimpleNamespace(
            folder=lambda ref, name: folder,
            fetch=lambda ref, name: folder / name,
            manifest=lambda ref: SimpleNamespace(objects=[SimpleNamespace(name=f"{ref.uri.split('/')[-2]}.parquet")]),
        )

    def in_words(self, ref: Ref) -> Path:
        return self.folder / f"{ref.uri.split('/')[-2]}.parquet"

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{table}.parquet")


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of these stages have their words already."""
    monkeypatch.setattr(contamination, "in_words", Stages.in_words)


def a_ref(table: str) -> Ref:
    return Ref(uri=f"s3://cpl/{table}/manifest.json", sha256="0" * 64, rows=1)


def found(folder: Path, **tables: list[dict[str, Any]]) -> Stages:
    """A benchmark asks one question twice, as some do in their standard form: it is one."""
    asked = pl.DataFrame({"question": [ASKED, "What is 1 + 1?", ASKED], "benchmark": ["b"] * 3})
    stages = Stages(folder, {name: pl.DataFrame(rows) for name, rows in tables.items()} | {"asked": asked})
    refs = {name: a_ref(name) for name in tables}
    find_contamination.body(stages, "all", refs, {"plan": a_ref("asked")}, a_ref("base"))
    return stages


def question(name: str, text: str, is_held_out: bool = False) -> dict[str, Any]:
    return {"question_id": name, "question": text, "is_held_out": is_held_out}


def test_the_same_problem_with_other_numbers_is_found_in_the_second_pass_alone(tmp_path: Path) -> None:
    other = ASKED.replace("27", "1,234").replace("4 ", "15 ").replace("6 ", "120 ")
    stages = found(tmp_path, questions=[question("q1", other)])
    rows = {(row["n"], row["is_masked"]): row for row in stages.written("contamination").iter_rows(named=True)}
    masked = rows[13, True]
    assert (masked["benchmark"], masked["benchmark_question"], masked["share"]) == ("b", ASKED, 1.0)
    assert (masked["question_id"], masked["kind"], masked["text"]) == ("q1", "question", other)
    assert masked["span"] == "Ann has 0 coins. Ann finds 0 boxes of 0 coins. How many coins has Ann?"
    assert (13, False) not in rows
    assert 0 < rows[8, False]["share"] < 0.5
    refuse_contaminated.body(stages, a_ref("contamination"), 0.5)
    assert stages.facts["notes"] == [
        "1 questions of b share, but for their numbers, at least 50% of their runs of 8 tokens with one text that is "
        "learnt; the most: 100%"
    ]


def test_a_question_that_is_learnt_is_found_and_one_that_is_held_out_is_not(tmp_path: Path) -> None:
    clean = found(tmp_path / "a", questions=[question("q1", ASKED, is_held_out=True), question("q2", "Who?")])
    assert clean.written("contamination").is_empty()
    assert clean.facts["notes"] == []
    copied = found(tmp_path / "b", questions=[question("q1", ASKED, is_held_out=True), question("q2", f"Now, {ASKED}")])
    with pytest.raises(ContaminatedQuestions, match=r"q2 \(question\) has 100% of one of b: 'Ann has 27 coins"):
        refuse_contaminated.body(copied, a_ref("contamination"), 0.7)


def test_steps_and_solutions_that_are_learnt_are_texts_of_their_own(tmp_path: Path) -> None:
    """A text of several steps is none; the tags are no words."""
    path = (
        plan(1, "Ann has 27 coins.") + plan(2, "Ann finds 4 boxes of 6 coins. How many coins has Ann?") + solution("5")
    )
    sides = {"chosen": plan(1, "Add."), "rejected": solution("5").replace("So it is.", ASKED)}
    stages = found(
        tmp_path,
        imitations=[{"question_id": "q1", "completion": path}] * 2,
        preferences=[{"question_id": "q2"} | sides],
    )
    rows = stages.written("contamination").filter(n=13, is_masked=False)
    assert rows.select("kind", "question_id", "texts").sort("kind").rows() == [("plan", "q1", 1), ("solution", "q2", 1)]
    shares = dict(rows.select("kind", "share").iter_rows())
    assert shares["solution"] == 1.0
    assert 0.2 < shares["plan"] < 0.7


def test_a_round_that_teaches_nothing_is_clean(tmp_path: Path) -> None:
    assert found(tmp_path).written("contamination").is_empty()

"""`cpl diff`: two rounds that were made by hand, of one warehouse each."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.desk.diff import Side, differences, read
from infra.warehouse import build
from tests.sql.handmade import ROUND, model, parquet, sample

ASKED = [f"b{number}" for number in range(12)]


def a_round(
    folder: Path, name: str, right: int, config: dict[str, Any], base: str = "0" * 64, settings: str = "0" * 64
) -> Side:
    """Its policy has the first `right` of twelve questions right, and its base model the first two. `settings`: digest
    of how it was evaluated."""
    folder = folder / name
    folder.mkdir()
    answers = [
        sample(one, question, ["add"], is_correct=place < (2 if one == "base" else right))
        for one in ("base", "step_apo")
        for place, question in enumerate(ASKED)
    ]
    policies = [
        model("base", None) | {"sha256": base},
        model("step_apo", "base", prefer=1.0) | {"sha256": name.ljust(64, "0")},
    ]
    about = [ROUND["rounds"][0] | {"config": json.dumps(config)}]
    scores = [row | {"settings": settings} for row in ROUND["evaluations"]]
    tables = {"rounds": about, "models": policies, "evaluations": scores, "evaluation_samples": answers}
    build(folder / "factory.duckdb", parquet(folder, ROUND | tables))
    return read(folder / "factory.duckdb", "demo", 1)._replace(name=name)


def test_settings_that_differ_are_told_by_their_dotted_names(tmp_path: Path) -> None:
    first = a_round(tmp_path, "first", 2, {"evidence": {"trees": {"c": 1.5, "n": 8}}, "only": {"here": True}})
    second = a_round(tmp_path, "second", 2, {"evidence": {"trees": {"c": 1.0, "n": 8}}, "added": [1]})
    assert differences(first, second)["settings"] == [
        {"setting": "evidence.trees.c", "first": 1.5, "second": 1.0},
        {"setting": "only.here", "first": True, "second": None},
        {"setting": "added", "first": None, "second": [1]},
    ]


def test_models_of_a_name_are_compared_question_by_question_the_second_against_the_first(tmp_path: Path) -> None:
    first, second = a_round(tmp_path, "first", 2, {}), a_round(tmp_path, "second", 11, {})
    found = differences(first, second)
    of = {(row["model"], row["other"]): row for row in found["comparisons"]}
    assert of.keys() == {("base", "base"), ("step_apo", "step_apo")}
    better = of["step_apo", "step_apo"]
    assert (better["only_model"], better["only_other"], better["n"]) == (9, 0, 12)
    assert better["difference"] == pytest.approx(9 / 12)
    assert better["verdict"] == "better"
    assert of["base", "base"]["verdict"] == "the same weights"
    turned = differences(second, first)["comparisons"]
    assert {row["verdict"] for row in turned} == {"worse", "the same weights"}


def test_models_with_other_weights_are_none_that_are_the_same(tmp_path: Path) -> None:
    first, second = a_round(tmp_path, "first", 2, {}), a_round(tmp_path, "second", 2, {}, base="1" * 64)
    assert {row["verdict"] for row in differences(first, second)["comparisons"]} == {"cannot be told with n = 12"}


def test_answers_of_another_decoding_tell_nothing_of_the_models(tmp_path: Path) -> None:
    first, second = a_round(tmp_path, "first", 2, {}), a_round(tmp_path, "second", 11, {}, settings="1" * 64)
    assert {row["verdict"] for row in differences(first, second)["comparisons"]} == {"asked otherwise"}


def test_rows_of_both_are_counted(tmp_path: Path) -> None:
    first, second = a_round(tmp_path, "first", 2, {}), a_round(tmp_path, "second", 2, {})
    rows = differences(first, second)["rows"]
    assert rows["evaluation_samples"] == [24, 24]
    assert rows["trees"] == [len(ROUND["trees"])] * 2

"""A lesson that a user's SQL chooses from: what is kept, what is dropped and why, what is refused before a round."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer import BadParameter

from infra.desk.run import _setting
from tasks.lessons.right_paths import RightPaths
from tasks.lessons.rule import LessonRule
from tasks.lessons.siblings import Siblings
from tasks.recipe import Recipe
from tasks.recipe_file import RecipeRefused
from tasks.records import TABLES
from tasks.stages.curation import SelectRefused, divided, faults, refuse_selects
from tests.sql.handmade import ROUND

PATHS = ROUND["imitations"]
KEYS = [row["example_id"] for row in PATHS]
WITH_VALUES = RightPaths(evidence=("trees",))


def test_what_a_query_does_not_give_is_not_selected_and_the_order_stays() -> None:
    answer = {"example_id": [KEYS[3], KEYS[0], KEYS[2]], "weight": [2, 3, 1], "reason": [None, None, "too short"]}
    kept, dropped = divided("paths", WITH_VALUES, PATHS, pl.DataFrame(answer))
    assert kept == [PATHS[0] | {"weight": 3.0}, PATHS[3] | {"weight": 2.0}]
    reasons = [("not selected", KEYS[1]), ("too short", KEYS[2])]
    assert dropped.select("reason", "example_id").rows() == reasons
    assert dropped.columns == ["reason", *TABLES["imitations"]]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"example_id": [KEYS[0], KEYS[0]]}, "1 rows name a example_id again"),
        ({"example_id": ["x"]}, "'x' is none of the lesson's"),
        ({"example_id": [None]}, "none of the lesson's"),
        *(({"example_id": KEYS[:1], "weight": [weight]}, "above 0") for weight in (0, -1.0, float("inf"), None)),
        ({"example_id": KEYS[:1], "weight": [float("nan")]}, "above 0"),
    ],
)
def test_answers_that_cannot_be_followed_are_refused(answer: dict[str, Any], why: str) -> None:
    with pytest.raises(SelectRefused, match=rf"^lessons\.paths\.select: .*{why}"):
        divided("paths", WITH_VALUES, PATHS, pl.DataFrame(answer))


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"pair_id": pl.String()}, ""),
        ({"pair_id": pl.String(), "reason": pl.Null()}, ""),
        ({"tree_id": pl.String(), "pair_id": pl.String()}, "it gives a column 'tree_id', of which nothing is known"),
        ({"reason": pl.String()}, "it gives no column pair_id, which names the rows that are kept"),
        ({"pair_id": pl.Int32()}, "pair_id is no text"),
        ({"pair_id": pl.String(), "reason": pl.Boolean()}, "reason is no text"),
        ({"pair_id": pl.String(), "weight": pl.Float64()}, "its loss knows no weights of preferences"),
    ],
)
def test_columns_are_those_that_a_lesson_needs(columns: dict[str, pl.DataType], fault: str) -> None:
    assert "; ".join(faults(Siblings(evidence=("trees",)), pl.Schema(columns))) == fault


def test_imitations_have_weights_that_are_numbers() -> None:
    for kind, fault in ((pl.Int64(), []), (pl.Float32(), []), (pl.String(), ["weight is no integer and no double"])):
        assert list(faults(WITH_VALUES, pl.Schema({"example_id": pl.String(), "weight": kind}))) == fault


@pytest.mark.parametrize("select", ["from read_text('/etc/passwd')", "drop table preferences", "keep.sql"])
def test_a_query_that_does_more_than_ask_is_refused_before_the_round(select: str) -> None:
    with pytest.raises(SelectRefused, match=r"^lessons\.steps\.select: "):
        refuse_selects({"paths": WITH_VALUES, "steps": Siblings(evidence=("trees",), select=select)})


def test_without_a_query_the_key_of_a_lesson_is_what_it_was() -> None:
    rules: list[LessonRule] = [Siblings(evidence=("trees",)), RightPaths(evidence=("trees",))]
    for rule in rules:
        assert "select" not in rule.model_dump(mode="json")
        assert rule.model_copy(update={"select": "from x"}).model_dump(mode="json")["select"] == "from x"


def test_a_recipe_names_a_file_beside_it_and_holds_what_it_says(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[evidence.trees]\n[lessons.steps]\nrule = "siblings"\nevidence = ["trees"]\nselect = "keep.sql"\n'
    )
    with pytest.raises(RecipeRefused, match=r"mine.toml, line 5: lessons.steps.select: keep.sql: .*No such file"):
        Recipe.read(recipe)
    (tmp_path / "keep.sql").write_text("select pair_id from preferences\n")
    assert Recipe.read(recipe).lessons["steps"].select == "select pair_id from preferences\n"


def test_a_file_is_read_where_the_command_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keep.sql").write_text("select 1")
    given: Any = _setting("lessons.pairs.select=keep.sql")
    assert given == ("lessons.pairs.select", "select 1")
    with pytest.raises(BadParameter, match=r"lessons\.pairs\.select: gone\.sql"):
        _setting("lessons.pairs.select=gone.sql")

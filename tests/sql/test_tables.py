"""Tables, views and examples of `sql/`: typed as the Parquet that fills them, documented, and all of them run."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.warehouse import ask, build, check, first_comment, statements
from tasks.records import TABLES, frame
from tests.sql.handmade import NODES, RIGHT, ROUND, parquet


def test_every_table_has_the_columns_and_types_of_its_records(warehouse: Path, tmp_path: Path) -> None:
    assert {file.stem[3:] for file in statements("tables")} == set(TABLES)
    for table in TABLES:
        empty = tmp_path / f"{table}.parquet"
        frame(table, []).write_parquet(empty)
        written = ask(warehouse, "select column_name, column_type from (describe from read_parquet(?))", [str(empty)])
        typed = ask(warehouse, f"select column_name, column_type from (describe {table})")
        assert typed.rows == [("campaign", "VARCHAR"), ("round", "INTEGER"), *written.rows], table


def test_every_table_view_and_column_is_documented(warehouse: Path) -> None:
    grains = ask(
        warehouse,
        "select table_name, comment from duckdb_tables() "
        "union all select view_name, comment from duckdb_views() where not internal",
    )
    assert {name for name, _ in grains.rows} > set(TABLES)
    assert [name for name, comment in grains.rows if not (comment or "").startswith("One row per ")] == []
    bare = "select table_name, column_name from duckdb_columns() where not internal and comment is null"
    assert ask(warehouse, bare).rows == []


def test_a_stage_that_did_not_run_leaves_its_tables_empty(tmp_path: Path) -> None:
    sources = parquet(tmp_path, {name: ROUND[name] for name in ("rounds", "stages", "questions", "rollouts")})
    path = tmp_path / "factory.duckdb"
    build(path, sources)
    assert ask(path, "select count(*) from questions").rows == [(3,)]
    assert ask(path, "from step_pairs").rows == []
    assert check(path) == []
    for example in statements("examples"):
        ask(path, example.read_text())


def test_an_empty_parquet_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, ROUND | {"step_pairs": [], "sft_examples": []}))
    assert ask(path, "select count(*) from step_pairs").rows == [(0,)]
    assert check(path) == []


def test_rounds_of_a_campaign_come_along(tmp_path: Path) -> None:
    first, second = parquet(tmp_path, ROUND, round=1), parquet(tmp_path, ROUND, round=2)
    path = tmp_path / "factory.duckdb"
    build(path, {table: second[table] + first[table] for table in ROUND})
    assert ask(path, "select campaign, round, count(*) from nodes group by all order by all").rows == [
        ("demo", 1, len(NODES)),
        ("demo", 2, len(NODES)),
    ]
    assert check(path) == []


def test_a_build_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, ROUND))
    build(path, {})
    assert ask(path, "from questions").rows == []


def test_a_column_that_the_table_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    sources = parquet(tmp_path, {"questions": ROUND["questions"]})
    odd = sources["questions"][0].path
    frame("questions", ROUND["questions"]).rename({"level": "difficulty"}).write_parquet(odd)
    with pytest.raises(duckdb.Error, match="difficulty") as caught:
        build(tmp_path / "factory.duckdb", sources)
    assert str(odd) in caught.value.__notes__[0]


def test_a_null_where_the_table_wants_a_value_is_refused(tmp_path: Path) -> None:
    rows = [ROUND["questions"][0] | {"answer": None}]
    with pytest.raises(duckdb.ConstraintException, match=r"questions\.answer"):
        build(tmp_path / "factory.duckdb", parquet(tmp_path, {"questions": rows}))


def test_readers_cannot_write_and_nothing_is_downloaded(warehouse: Path) -> None:
    with pytest.raises(duckdb.Error, match="read-only"):
        ask(warehouse, "delete from nodes")
    with pytest.raises(duckdb.Error, match="httpfs"):
        ask(warehouse, "from 's3://bucket/nodes.parquet'")


def test_step_preferences_say_where_and_how_critical_a_step_is(warehouse: Path) -> None:
    answer = ask(
        warehouse,
        "select pair_id, kinds, depth, round(gap, 6), round(q_gap, 6), chosen_visits, rejected_prior > chosen_prior "
        "from step_preferences order by pair_id",
    )
    assert answer.rows == [("t1/1-2", ["add"], 1, 1.0, 1.0, 3, True), ("t1/3-4", ["add"], 2, 0.6, 2.0, 1, False)]


def test_tree_paths_run_from_the_root_to_every_node(warehouse: Path) -> None:
    answer = ask(warehouse, "select node_id, depth, path, token_ids, tokens from tree_paths where tree_id = 't1'")
    paths = {row[0]: row[1:] for row in answer.rows}
    assert len(paths) == 8
    assert paths[0] == (0, [0], [], 0)
    assert paths[5] == (2, [0, 2, 5], [20, 21, 50, 51], 4)


def test_search_yield_counts_what_the_search_did(warehouse: Path) -> None:
    [row] = ask(warehouse, "from search_yield").records()
    assert (row["trees"], row["skipped"], row["failed"], row["solved"]) == (2, 1, 0, 2)
    assert (row["expansions"], row["nodes"], row["cache_hit_share"]) == (5, 12, 0.5)
    assert (row["plan_pairs"], row["solution_pairs"], row["trees_with_pairs"]) == (1, 1, 1)


def test_accuracy_is_compared_with_the_base_model(warehouse: Path) -> None:
    gains = ask(warehouse, "select kind, gain from accuracy_by_round where model = 'step_apo' order by kind").rows
    assert gains == [("add", 0.5), ("all", 0.5), ("subtract", 1.0)]
    [curve] = ask(warehouse, "from learning_curve").records()
    assert (curve["round"], curve["base"], curve["sft"], curve["step_apo"]) == (1, 0.5, None, 1.0)


def test_a_learning_curve_tells_the_gain_over_the_round_before(tmp_path: Path) -> None:
    worse = [row | ({"accuracy": 0.75} if row["model"] == "step_apo" else {}) for row in ROUND["evaluations"]]
    first, second = parquet(tmp_path, {"evaluations": worse}, 1), parquet(tmp_path, ROUND, 2)
    path = tmp_path / "factory.duckdb"
    build(path, {"evaluations": second["evaluations"] + first["evaluations"]})
    curve = ask(path, "select round, step_apo, gain_over_last from learning_curve order by round")
    assert curve.rows == [(1, 0.75, None), (2, 1.0, 0.25)]


def test_values_are_compared_with_what_became_of_the_steps(warehouse: Path) -> None:
    answer = example(warehouse, "03_value_calibration")
    assert [(row["is_held_out"], row["mean_value"], row["mean_outcome"], row["nodes"]) for row in answer] == [
        (False, -0.5, -1.0, 1),
        (False, 0.5, 0.0, 1),
        (True, 0.5, 1.0, 1),
    ]


def test_self_reflection_is_counted_in_questions_not_in_attempts(tmp_path: Path) -> None:
    wrong = RIGHT | {"rollout_id": "q3/1.0", "sample": 1, "is_correct": False}
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, ROUND | {"rollouts": [*ROUND["rollouts"], wrong]}))
    columns = ("trial", "questions_tried", "first_solved", "share_solved_so_far", "tokens_per_question")
    answer = example(path, "07_what_self_reflection_bought")
    assert [tuple(row[name] for name in columns) for row in answer] == [(0, 2, 1, 0.5, 8.0), (1, 1, 1, 1.0, 5.0)]


@pytest.mark.parametrize("example", statements("examples"), ids=lambda file: file.stem)
def test_every_example_asks_a_question_and_gets_rows(example: Path, warehouse: Path) -> None:
    assert "?" in first_comment(example)
    assert ask(warehouse, example.read_text()).rows


def example(warehouse: Path, name: str) -> list[dict[str, Any]]:
    [file] = [file for file in statements("examples") if file.stem == name]
    return ask(warehouse, file.read_text()).records()

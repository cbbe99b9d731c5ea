"""Tables, views and worked queries of `sql/`: typed as the Parquet that fills them, documented, and all of them run."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.warehouse import GRAINS, SQL, ask, build, check, first_comment, relations, statements
from tasks.records import TABLES, frame
from tests.sql.handmade import NODES, QUESTIONS, ROUND, evaluation, model, parquet, plan, solution, tree

MADE_HERE = "select column_name, comment from duckdb_columns() where table_name = ? and comment like '%(made here%'"
"""Columns that `sql/loads` fills."""


def test_every_table_has_the_columns_and_types_of_its_records(warehouse: Path, tmp_path: Path) -> None:
    assert set(relations("tables")) == set(TABLES)
    for table in TABLES:
        empty = tmp_path / f"{table}.parquet"
        frame(table, []).write_parquet(empty)
        described = "select column_name, column_type from (describe from read_parquet(?))"
        written = duckdb.execute(described, [str(empty)]).fetchall()
        typed = ask(warehouse, f"select column_name, column_type from (describe {table})")
        made_here = dict(ask(warehouse, MADE_HERE, [table]).rows)
        given = [row for row in typed.rows if row[0] not in made_here]
        assert given == [("campaign", "VARCHAR"), ("round", "INTEGER"), *written], table


def test_every_table_view_and_column_is_documented(warehouse: Path) -> None:
    grains = ask(warehouse, GRAINS)
    assert {name for name, _ in grains.rows} > set(TABLES)
    assert [name for name, comment in grains.rows if not (comment or "").startswith("One row per ")] == []
    bare = "select table_name, column_name from duckdb_columns() where not internal and comment is null"
    assert ask(warehouse, bare).rows == []


def test_a_stage_that_did_not_run_leaves_its_tables_empty(tmp_path: Path) -> None:
    sources = parquet(tmp_path, {name: ROUND[name] for name in ("rounds", "stages", "questions")})
    path = tmp_path / "factory.duckdb"
    build(path, sources)
    assert ask(path, "select count(*) from questions").rows == [(3,)]
    assert ask(path, "from preferences").rows == []
    assert check(path) == []
    for query in statements("queries"):
        ask(path, query.read_text())


def test_an_empty_parquet_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, ROUND | {"preferences": [], "imitations": [], "pair_effects": []}))
    assert ask(path, "select count(*) from preferences").rows == [(0,)]
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


def test_two_searches_of_a_round_are_as_one(tmp_path: Path) -> None:
    """Each hands over a file of its own, and no node of one is taken for a node of the other."""
    paths = [tmp_path / "one.duckdb", tmp_path / "two.duckdb"]
    whole = parquet(tmp_path, ROUND)
    halves = []
    for number in range(2):
        of_half = [row for row in ROUND["nodes"] if (row["tree_id"] == "t1") is (number == 1)]
        halves += parquet(tmp_path, {"nodes": of_half}, round=2 + number)["nodes"]
    build(paths[0], whole)
    build(paths[1], whole | {"nodes": [half._replace(round=1) for half in halves]})
    assert check(paths[1]) == []
    for view in ("nodes", "tree_paths", "pairs", "imitated_paths", "rollouts"):
        columns = "* exclude (tree)" if view == "nodes" else "*"
        one, two = (ask(path, f"select {columns} from {view} order by all") for path in paths)
        assert one == two
        assert one.rows


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
    with pytest.raises(duckdb.Error, match=r"s3.*disabled by configuration"):
        ask(warehouse, "from 's3://bucket/nodes.parquet'")


def test_a_view_of_a_strangers_warehouse_reaches_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("for nobody")
    path = tmp_path / "factory.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(f"create view models as from read_text('{tmp_path}/secret.txt')")
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        ask(path, "from models")


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


@pytest.mark.parametrize(
    ("view", "of", "some"),
    [
        ("tree_paths", "nodes", "(tree_id, node_id) = ('t1', 5)"),
        ("pairs", "preferences", "pair_id = 't1/3-4'"),
        ("imitated_paths", "imitations", "weight = 0"),
    ],
)
def test_the_words_of_a_few_rows_are_those_of_the_view(
    view: str, of: str, some: str, warehouse: Path, two_rounds: list[Path]
) -> None:
    key = {"pairs": "pair_id", "imitated_paths": "example_id"}.get(view, "(tree_id, node_id)")
    for paths in ([warehouse], two_rounds):
        few = ask(paths, f"with few as (from {of} where {some}) from {view}_of(few) order by all")
        assert len(few.rows) >= len(paths)
        assert few == ask(paths, f"from {view} where {key} in (select {key} from {of} where {some}) order by all")


def test_search_yield_counts_what_the_search_did(warehouse: Path) -> None:
    row, tries = ask(warehouse, "from search_yield order by evidence").records()
    assert (row["evidence"], tries["evidence"]) == ("trees", "tries")
    assert (row["questions"], row["trees"], row["skipped"], row["failed"], row["solved"]) == (2, 2, 1, 0, 2)
    assert (row["expansions"], row["nodes"], row["cache_hit_share"]) == (5, 12, 0.5)
    assert (row["generated_tokens"], row["learning_tokens"]) == (120, 80), "one tree is held out"
    assert row["learning_expansions"] == 3
    assert (row["plan_pairs"], row["solution_pairs"], row["trees_with_pairs"]) == (1, 1, 1)
    assert (tries["questions"], tries["solved"], tries["expansions"], tries["plan_pairs"]) == (2, 2, 6, 0)


def test_accuracy_is_compared_with_the_base_model(warehouse: Path) -> None:
    gains = ask(warehouse, "select kind, gain from accuracy_by_round where model = 'step_apo' order by kind").rows
    assert gains == [("add", 0.5), ("all", 0.5), ("subtract", 1.0)]
    curve = ask(warehouse, "select model, round, accuracy, is_next from learning_curve order by model").rows
    assert curve == [("base", 1, 0.5, False), ("step_apo", 1, 1.0, True)]


def test_a_search_is_counted_in_questions(tmp_path: Path) -> None:
    """Stepwise search grows a tree for every step."""
    grown = [
        tree("q1", "q1", "finished", steps=0, visits=4, value=-0.5, is_solved=True),
        tree("q1/step-1", "q1", "finished", steps=1, visits=4, value=0.5, is_solved=True),
        tree("q2", "q2", "finished", steps=0, visits=4, value=-0.5, is_solved=True),
        tree("q3", "q3", "finished", steps=0, visits=4, value=-1.0),
    ]
    rows = [{"expansions": 1, "nodes": 2, "method": "stepwise"} | row | {"method": "stepwise"} for row in grown]
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, {"questions": ROUND["questions"], "trees": rows}))
    [found] = ask(path, "from search_yield").records()
    assert (found["questions"], found["trees"], found["solved"], found["skipped"]) == (3, 4, 2, 0)
    pairs = {row["questions"] for row in answer_of(path, "04_pairs_per_question")}
    assert pairs == {3}


def test_a_learning_curve_tells_the_gain_over_the_round_before(tmp_path: Path) -> None:
    worse = [row | ({"accuracy": 0.75} if row["model"] == "step_apo" else {}) for row in ROUND["evaluations"]]
    first, second = parquet(tmp_path, ROUND | {"evaluations": worse}, 1), parquet(tmp_path, ROUND, 2)
    path = tmp_path / "factory.duckdb"
    build(path, {table: second[table] + first[table] for table in ("evaluations", "models")})
    asked = "select round, model, accuracy, gain_over_last from learning_curve order by model, round"
    assert ask(path, asked).rows == [
        (1, "base", 0.5, None),
        (2, "base", 0.5, 0.0),
        (1, "step_apo", 0.75, None),
        (2, "step_apo", 1.0, 0.25),
    ]


def test_a_learning_curve_does_not_mix_shots(tmp_path: Path) -> None:
    asked = [evaluation("base", "all", 0.25, 4) | {"shots": 0}, evaluation("base", "all", 0.75, 4) | {"shots": 5}]
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, {"models": ROUND["models"], "evaluations": asked}))
    assert ask(path, "select shots, gain_over_last from learning_curve").rows == [(0, None), (5, None)]


@pytest.mark.parametrize("otherwise", [{"settings": "greedy"}, {"harness": "harness 1", "task_version": "2.0"}])
def test_a_learning_curve_compares_what_was_asked_alike(tmp_path: Path, otherwise: dict[str, str]) -> None:
    """A vote gains nothing over a greedy answer, nor a task over another version of it."""
    voted = [evaluation("base", "all", 0.5, 4)]
    asked = {1: voted, 2: [evaluation("base", "all", 0.25, 4) | otherwise], 3: [evaluation("base", "all", 0.75, 4)]}
    rounds = [parquet(tmp_path, {"models": ROUND["models"], "evaluations": asked[number]}, number) for number in asked]
    path = tmp_path / "factory.duckdb"
    build(path, {table: [file for of in rounds for file in of[table]] for table in ("models", "evaluations")})
    gains = ask(path, "select round, gain_over_last from learning_curve order by round").rows
    assert gains == [(1, None), (2, None), (3, 0.25)]


def test_a_pair_costs_what_trees_cost_that_are_learnt_from(warehouse: Path) -> None:
    """Of t1 alone, for t2 is held out; a reflection has no budget of simulations."""
    of_round = {"campaign": "demo", "round": 1}
    tokens = dict(ask(warehouse, "select tree_id, generated_tokens from trees").rows)
    found = ask(warehouse, (SQL / "page" / "yield.sql").read_text(), of_round).records()
    of = {row["evidence"]: row for row in found}
    assert of["trees"]["tokens_per_pair"] == (tokens["t1"] + tokens["t3"]) / 2
    assert of["trees"]["generated_tokens"] > of["trees"]["learning_tokens"]
    assert (of["trees"]["simulations"], of["tries"]["simulations"]) == (8, None)


def test_values_are_compared_with_what_became_of_the_steps(warehouse: Path) -> None:
    answer = answer_of(warehouse, "03_value_calibration")
    found = [
        (row["evidence"], row["is_held_out"], row["mean_value"], row["mean_outcome"], row["nodes"]) for row in answer
    ]
    assert found == [
        ("trees", False, -0.5, -1.0, 1),
        ("trees", False, 0.5, 0.0, 1),
        ("trees", True, 0.5, 1.0, 1),
        ("tries", False, 0.5, 0.0, 2),
    ]


def test_a_sampled_trajectory_is_a_rollout(warehouse: Path) -> None:
    rows = ask(warehouse, "select * exclude (campaign, round) from rollouts order by tree_id, node_id").records()
    assert rows[0] == {
        "evidence": "tries",
        "tree_id": "t4",
        "node_id": 2,
        "question_id": "q1",
        "question": QUESTIONS["q1"],
        "trial": 0,
        "times": 1,
        "plan": plan(1, "Subtract."),
        "solution": solution("1"),
        "answer": "1",
        "is_correct": False,
        "is_leaked": False,
        "reflection": None,
        "tokens": 4,
    }
    columns = ("tree_id", "node_id", "trial", "times", "is_correct", "is_leaked", "reflection")
    told = "The sum was wrong.\n"
    assert [tuple(row[name] for name in columns) for row in rows[1:]] == [
        ("t4", 4, 1, 1, None, True, told),
        ("t4", 6, 2, 1, True, False, told),
        ("t5", 2, 0, 2, True, False, None),
    ]
    assert [row["solution"] for row in rows[1:]] == [None, solution("5"), solution("2")]


def test_self_reflection_is_counted_in_questions_not_in_attempts(warehouse: Path) -> None:
    columns = ("evidence", "trial", "questions_tried", "first_solved", "share_solved_so_far", "imitated", "leaked")
    answer = answer_of(warehouse, "07_what_self_reflection_bought")
    assert [tuple(row[name] for name in columns) for row in answer] == [
        ("tries", 0, 2, 1, 0.5, 1, 0),
        ("tries", 1, 1, 0, 0.5, 0, 1),
        ("tries", 2, 1, 1, 1.0, 0, 0),
    ]
    assert [row["tokens_per_question"] for row in answer] == [6.0, 4.0, 4.0]


def test_label_noise_is_the_share_of_what_both_checkers_decided(warehouse: Path) -> None:
    columns = "name, answers, compared, ours_alone, theirs_alone, unread, theirs_undecided, ours_undecided"
    rows = ask(warehouse, f"select origin, disagreement, {columns} from label_noise order by origin").rows
    assert rows == [
        ("benchmark", None, "micro/test", 4, 0, 0, 0, 4, 0, 0),
        ("search", pytest.approx(3 / 9), "trees", 14, 9, 2, 1, 3, 1, 1),
    ]


@pytest.mark.parametrize("query", statements("queries"), ids=lambda file: file.stem)
def test_every_worked_query_asks_a_question_and_gets_rows_of_two_rounds(query: Path, two_rounds: list[Path]) -> None:
    assert "?" in first_comment(query)
    assert ask(two_rounds, query.read_text()).rows


def test_files_of_rounds_are_one_database(two_rounds: list[Path], tmp_path: Path) -> None:
    """With all tables and views of a file that holds both, and no way to a file beside them."""
    assert len(statements("queries")) >= 20
    sources = [parquet(tmp_path, ROUND, number) for number in (1, 2)]
    build(tmp_path / "both.duckdb", {table: sources[0][table] + sources[1][table] for table in ROUND})
    for relation in (*relations("tables"), *relations("derived"), *relations("views")):
        counted = f"select count(*) from {relation}"
        assert ask(two_rounds, counted).rows == ask(tmp_path / "both.duckdb", counted).rows, relation
    assert ask(two_rounds, "select max(round) from pairs").rows == [(2,)]
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        ask(two_rounds, f"from '{tmp_path}/nodes-1.parquet'")
    with pytest.raises(duckdb.Error, match="locked"):
        ask(two_rounds, "set enable_external_access = true")


def test_a_model_and_a_pair_know_what_they_are_made_of(two_rounds: list[Path]) -> None:
    made = "select round, made_of from lineage where (round, stage) = (2, 'step_apo') order by made_of"
    assert ask(two_rounds, made).rows == [(2, "questions"), (2, "trees")]
    pairs = ask(two_rounds, "select round, evidence, search, code from pair_lineage order by all").rows
    assert pairs == [(number, "trees", "1" * 64, "0.1.0") for number in (1, 1, 2, 2)]


def test_what_training_did_not_teach_is_what_lost_its_margin(warehouse: Path) -> None:
    [row] = answer_of(warehouse, "26_pairs_not_learnt")
    assert (row["pair_id"], row["gap"], row["margin_change"]) == ("t1/3-4", 0.6, -0.75)
    assert (row["chosen_change"], row["rejected_change"]) == (0.5, 1.25)


def test_steps_are_alike_but_for_numbers_case_and_white_space(tmp_path: Path) -> None:
    said = {
        ("t1", 1): plan(1, "Add 40 and 2."),
        ("t1", 2): plan(2, "add 7\tand\r 13. "),
        ("t1", 7): plan(1, "Add < 0 or 6."),
        ("t2", 1): plan(1, "ADD\n589and2."),
        ("t4", 1): plan(1, "Add 40 and 2."),
        ("t4", 3): plan(3, "Add < 0 then."),
    }
    nodes = [row | {"text": said.get((row["tree_id"], row["node_id"]), row["text"])} for row in NODES]
    tables = ROUND | {"nodes": nodes, "preferences": [], "imitations": [], "pair_effects": []}
    build(tmp_path / "round.duckdb", parquet(tmp_path, tables))
    found = "select copies, texts, questions, tree_id, node_id from repeated_steps where tree_id <> 't4' order by all"
    assert ask(tmp_path / "round.duckdb", found).rows == [(4, 3, 2, "t1", 1)]
    openings = "select opening, nodes from step_openings order by opening"
    assert ask(tmp_path / "round.duckdb", openings).rows == [("Add 40 and", 2), ("Add < 0", 2), ("Add them.", 2)]


def test_what_is_left_out_has_a_reason(warehouse: Path) -> None:
    told = ask(warehouse, "select unit, name, reason, n from left_out").rows
    assert ("question", "trees", "held out, to rank V", 1) in told
    assert ("question", "trees", "not searched: solved without", 1) in told
    assert ("path", "tries", "the plan gave the answer away", 1) in told
    assert ("path", "trees", "not the format", 1) in told


def answer_of(warehouse: Path, name: str) -> list[dict[str, Any]]:
    [file] = [file for file in statements("queries") if file.stem == name]
    return ask(warehouse, file.read_text()).records()


def test_a_round_costs_what_its_stages_took_trainings_and_the_start_of_engines_included(tmp_path: Path) -> None:
    stage = ROUND["stages"][0]
    asked = ROUND["engine_use"][0] | {"generated_tokens": 100, "prompt_tokens": 7, "gpus": 8, "seconds": 1800.0}
    used = [asked | {"stage": name} for name in ("trees", "trees_value", "evaluate_base")]
    tables = ROUND | {
        "stages": [
            stage | {"stage": "questions", "seconds": 1.0, "gpu_hours": 0.0},
            stage | {"stage": "trees", "seconds": 2000.0, "gpu_hours": 4.5},
            stage | {"stage": "evaluate_base", "seconds": 2000.0, "gpu_hours": None},  # made by an earlier version
            stage | {"stage": "sft", "seconds": 60.0, "gpu_hours": 0.25},
            stage | {"stage": "base", "seconds": 5.0, "gpu_hours": 0.0},
        ],
        "engine_use": used,
        "models": [model("base", None), model("sft", "base", nll=1.0) | {"updates": 12}],
    }
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, tables))
    found = ask(
        path, "select stage, purpose, seconds, gpu_hours, generated_tokens, updates from costs order by stage"
    ).rows
    assert found == [
        ("base", "other", 5.0, 0.0, None, 0),
        ("evaluate_base", "scores", 2000.0, 4.0, 100, None),
        ("questions", "other", 1.0, 0.0, None, None),
        ("sft", "training", 60.0, 0.25, None, 12),
        ("trees", "search", 2000.0, 4.5, 200, None),
    ]
    (cost,) = ask(path, (SQL / "campaign" / "cost.sql").read_text(), {"campaign": "demo"}).records()
    assert (cost["generated_tokens"], cost["gpu_hours"]) == (300, 8.75)


def test_a_stage_is_paid_for_by_the_first_round_that_has_it(tmp_path: Path) -> None:
    stage = ROUND["stages"][0] | {"gpu_hours": 0.5}
    own = stage | {"stage": "sft", "uri": "s3://cpl/stages/sft/2/manifest.json", "seconds": 60.0}
    rounds = (ROUND | {"stages": [stage]}, ROUND | {"stages": [stage, own]})
    sources = [parquet(tmp_path, tables, number) for number, tables in enumerate(rounds, 1)]
    path = tmp_path / "factory.duckdb"
    build(path, {table: sources[0][table] + sources[1][table] for table in ROUND})
    told = answer_of(path, "25_what_a_round_cost")
    assert [(row["round"], row["stages"], row["seconds"]) for row in told] == [(1, 1, stage["seconds"]), (2, 1, 60.0)]


def test_a_warehouse_tells_how_far_it_is_before_each_of_its_steps(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    sources = parquet(tmp_path, {name: ROUND[name] for name in ("rounds", "questions")})
    build(tmp_path / "factory.duckdb", sources, lambda done, total: told.append((done, total)))
    steps = 2 + len(relations("views")) + len(relations("derived"))
    assert told == [(done, steps) for done in range(steps)]

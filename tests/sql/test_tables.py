"""Tables, views and examples of `sql/`: typed as the Parquet that fills them, documented, and all of them run."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest, norm, t

from infra.desk.power import needed
from infra.warehouse import SQL, ParquetSource, ask, build, check, first_comment, relations, statements
from tasks.records import TABLES, frame
from tasks.scoring.accuracy import Setup, accuracies
from tasks.scoring.paired import holm
from tests.sql.handmade import NODES, QUESTIONS, ROUND, evaluation, model, parquet, plan, sample, solution, tree

MADE_HERE = "select column_name, comment from duckdb_columns() where table_name = ? and comment like '%(made here%'"
"""Columns that `sql/loads` fills."""


def test_every_table_has_the_columns_and_types_of_its_records(warehouse: Path, tmp_path: Path) -> None:
    assert {file.stem[3:] for file in statements("tables")} == set(TABLES)
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
    sources = parquet(tmp_path, {name: ROUND[name] for name in ("rounds", "stages", "questions")})
    path = tmp_path / "factory.duckdb"
    build(path, sources)
    assert ask(path, "select count(*) from questions").rows == [(3,)]
    assert ask(path, "from preferences").rows == []
    assert check(path) == []
    for example in statements("queries"):
        ask(path, example.read_text())


def test_an_empty_parquet_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, ROUND | {"preferences": [], "imitations": []}))
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


def scored(**outcomes: str) -> dict[str, list[dict[str, Any]]]:
    """Models and their samples: a letter a question, r(ight), w(rong), or - for one that is lost."""
    models = [dict(row) for row in ROUND["models"] if row["model"] in outcomes]
    samples = [
        sample(model, f"b{number}", [], {"r": True, "w": False}.get(letter))
        for model, letters in outcomes.items()
        for number, letter in enumerate(letters)
    ]
    table = accuracies(frame("evaluation_samples", samples), Setup("0"))
    return {"models": models, "evaluation_samples": samples, "evaluations": table.to_dicts()}


def test_errors_of_a_gain_are_those_of_the_differences_question_by_question(tmp_path: Path) -> None:
    """The same questions, of which one is gained and none is lost: as independent models, the error would be .163."""
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, scored(base="r" * 11 + "w" * 7 + "--", step_apo="r" * 12 + "w" * 6 + "r-")))
    [row] = ask(path, "from accuracy_by_round where model = 'step_apo'").records()
    assert row["n"] == 19
    assert row["gain"] == pytest.approx(1 / 18), "on the 18 questions that both answered"
    assert row["gain_stderr"] == pytest.approx(math.sqrt((1 / 18 - (1 / 18) ** 2) / 18))
    [base] = ask(path, "select gain, gain_stderr from accuracy_by_round where model = 'base'").records()
    assert base == {"gain": 0.0, "gain_stderr": 0.0}


def test_the_error_of_a_gain_knows_of_templates(tmp_path: Path) -> None:
    """Two templates of two questions: one is gained, the other is not. By hand sqrt(2 / 1 * (1 ** 2 + 1 ** 2)) / 4."""
    path = tmp_path / "factory.duckdb"
    tables = scored(base="wwww", step_apo="rrww")
    for row in tables["evaluation_samples"]:
        row["cluster"] = "gained" if row["question_id"] in ("b0", "b1") else "lost"
    build(path, parquet(tmp_path, tables))
    [row] = ask(path, "from accuracy_by_round where model = 'step_apo'").records()
    assert (row["gain"], row["gain_stderr"]) == (0.5, pytest.approx(math.sqrt(4) / 4))


COMPARED = {
    "step_apo alone is right six times in a row": ("w" * 6 + "r" * 10, "r" * 16, "better", 1 / 32),
    "five times are not enough": ("w" * 5 + "r" * 11, "r" * 16, "cannot be told with n = 16", 1 / 16),
    "eight to one": ("r" + "w" * 8, "w" + "r" * 8, "better", 20 / 512),
    "one to eight": ("w" + "r" * 8, "r" + "w" * 8, "worse", 20 / 512),
    "three to three": ("rrrwww", "wwwrrr", "cannot be told with n = 6", 1.0),
    "no difference at all": ("rwr", "rwr", "cannot be told with n = 3", 1.0),
    "lost questions do not count": ("w" * 5 + "-w", "r" * 5 + "r-", "cannot be told with n = 5", 1 / 16),
}


@pytest.mark.parametrize("case", COMPARED)
def test_which_of_two_models_is_better(case: str, tmp_path: Path) -> None:
    base, step_apo, verdict, p_value = COMPARED[case]
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, scored(base=base, step_apo=step_apo)))
    rows = {row["model"]: row for row in ask(path, "from model_comparisons").records()}
    assert rows.keys() == {"base", "step_apo"}
    row, mirrored = rows["step_apo"], rows["base"]
    assert (row["other"], row["verdict"], row["p_value"]) == ("base", verdict, pytest.approx(p_value))
    assert row["p_of_all"] == pytest.approx(p_value), "there is one benchmark"
    pairs = [(b, a) for b, a in zip(base, step_apo, strict=True) if "-" not in (a, b)]
    assert row["n"] == row["clusters"] == len(pairs)
    assert (row["only_model"], row["only_other"]) == (pairs.count(("w", "r")), pairs.count(("r", "w")))
    difference = (row["only_model"] - row["only_other"]) / row["n"]
    assert row["difference"] == pytest.approx(difference)
    discordant = (row["only_model"] + row["only_other"]) / row["n"]
    assert row["stderr"] == pytest.approx(math.sqrt((discordant - difference**2) / row["n"]))
    smallest = row["detectable"] or 1.001
    assert needed(smallest - 0.001, discordant) > row["n"], "less would need more questions (`cpl power`)"
    assert row["detectable"] is None or needed(smallest, discordant) <= row["n"]
    low, high = bonett_price(row["only_model"], row["only_other"], row["n"])
    assert (row["low"], row["high"]) == pytest.approx((max(low, -1), min(high, 1)), abs=1e-6)
    assert mirrored["difference"] == pytest.approx(-difference)
    assert (mirrored["low"], mirrored["high"]) == pytest.approx((-row["high"], -row["low"]))
    assert {row["verdict"], mirrored["verdict"]} in ({"better", "worse"}, {f"cannot be told with n = {row['n']}"})


def bonett_price(only_one: int, only_other: int, n: int) -> tuple[float, float]:
    """The adjusted Wald interval for a difference of paired shares, as they write it (2012, eq. 8)."""
    one, other = (only_one + 1) / (n + 2), (only_other + 1) / (n + 2)
    reach = norm.ppf(0.975) * math.sqrt((one + other - (one - other) ** 2) / (n + 2))
    return one - other - reach, one - other + reach


def comparison(folder: Path, samples: list[dict[str, Any]], model: str = "step_apo") -> list[dict[str, Any]]:
    """What the view says of a model against base, of these samples."""
    models = [row for row in ROUND["models"] if row["model"] != "sft"]
    path = folder / "factory.duckdb"
    build(path, parquet(folder, {"models": models, "evaluation_samples": samples}))
    return ask(path, f"from model_comparisons where model = '{model}' order by benchmark").records()


def test_differences_of_one_template_count_as_they_go_together(tmp_path: Path) -> None:
    """Four templates of three questions: step_apo gains one and loses another whole, nothing differs in two. By hand:
    clustered sqrt(2 * 3 ** 2) / 12 = .354, times sqrt(4 / 3); each question alone sqrt(6) / 12 = .204."""
    gained = {"base": "wwwrrrrrrwww", "step_apo": "rrrwwwrrrwww"}
    samples = [
        sample(model, f"b{place}", [], letter == "r", cluster=f"template {place // 3}")
        for model, letters in gained.items()
        for place, letter in enumerate(letters)
    ]
    [row] = comparison(tmp_path, samples)
    assert (row["n"], row["clusters"], row["difference"]) == (12, 4, 0.0)
    assert row["stderr"] == pytest.approx(math.sqrt(18 * 4 / 3) / 12)
    assert (row["low"], row["high"]) == (-1, 1), "three questions say as much, and Student's t of three degrees"


def test_models_that_differ_nowhere_are_not_known_to_be_equal(tmp_path: Path) -> None:
    """Thirty questions of three templates say as much as three."""
    [row] = comparison(
        tmp_path, [sample(m, f"b{q}", [], True, cluster=f"t{q % 3}") for m in ("base", "step_apo") for q in range(30)]
    )
    assert (row["stderr"], row["detectable"]) == (0.0, None)
    assert row["high"] == 1
    [row] = comparison(
        tmp_path, [sample(m, f"b{q}", [], True, cluster=f"t{q % 15}") for m in ("base", "step_apo") for q in range(30)]
    )
    assert row["high"] == pytest.approx(t.ppf(0.975, 14) * math.sqrt(2 / 17 / 17), rel=1e-3)
    assert row["verdict"] == "cannot be told with n = 30"


def test_a_template_that_is_gained_whole_is_no_proof(tmp_path: Path) -> None:
    """Twelve questions that step_apo alone has right are two tosses, and each with p = 1/2."""
    samples = [
        sample(model, f"b{q}", [], q >= 12 or model == "step_apo", cluster=f"t{q // 6}")
        for model in ("base", "step_apo")
        for q in range(24)
    ]
    [row] = comparison(tmp_path, samples)
    assert (row["only_model"], row["p_value"], row["verdict"]) == (12, 0.5, "cannot be told with n = 24")
    assert row["low"] < 0


def test_of_several_draws_the_shares_are_compared(tmp_path: Path) -> None:
    """Shares of two draws: step_apo is a half better on two questions and a half worse on one, of five."""
    shares = {"base": ("rr", "rw", "ww", "rw", "ww"), "step_apo": ("rr", "rr", "rw", "ww", "ww")}
    samples = [
        sample(model, f"b{place}", [], letter == "r", draw=draw)
        for model, questions in shares.items()
        for place, letters in enumerate(questions)
        for draw, letter in enumerate(letters)
    ]
    [row] = comparison(tmp_path, samples)
    assert (row["n"], row["only_model"], row["only_other"], row["p_value"]) == (5, 2, 1, pytest.approx(1.0))
    assert row["difference"] == pytest.approx(0.1)
    assert row["stderr"] == pytest.approx(math.sqrt((0.75 / 5 - 0.01) / 5))


def test_many_benchmarks_are_judged_at_once(tmp_path: Path) -> None:
    """Holm: p-values 1/32, 1/128 and 1/64, of 6, 8 and 7 tosses, become 1/32, 3/128 and 2/64; judged by itself each is
    below .05, and with a fourth benchmark that cannot tell, the first is not any more."""
    tosses = {"a": 6, "b": 8, "c": 7}

    def of(benchmarks: dict[str, int]) -> list[dict[str, Any]]:
        return [
            sample(model, f"b{q}", [], model == "step_apo", benchmark=benchmark)
            | ({"is_correct": True, "outcome": "right"} if q >= n else {})
            for benchmark, n in benchmarks.items()
            for model in ("base", "step_apo")
            for q in range(40)
        ]

    three = comparison(tmp_path, of(tosses))
    assert [row["p_value"] for row in three] == pytest.approx([1 / 32, 1 / 128, 1 / 64])
    assert [row["p_of_all"] for row in three] == pytest.approx(holm([row["p_value"] for row in three]))
    assert [row["p_of_all"] for row in three] == pytest.approx([1 / 32, 3 / 128, 1 / 32])
    four = comparison(tmp_path, of(tosses | {"d": 1}))
    assert [row["p_of_all"] for row in four] == pytest.approx([2 / 32, 4 / 128, 3 / 64, 1.0])
    assert [row["verdict"][:6] for row in four] == ["cannot", "better", "better", "cannot"]


def test_forms_metrics_and_shots_are_not_mixed(tmp_path: Path) -> None:
    samples = [
        sample(model, f"b{q}", [], model == right, form=form, metric=metric, shots=shots)
        for form, metric, shots, right in (
            ("plan", "answer", 0, "base"),
            ("standard", "acc", 5, "step_apo"),
            ("standard", "acc_norm", 5, "base"),
        )
        for model in ("base", "step_apo")
        for q in range(3)
    ]
    rows = comparison(tmp_path, samples)
    assert {(row["metric"], row["n"], row["difference"]) for row in rows} == {
        ("answer", 3, -1.0),
        ("acc", 3, 1.0),
        ("acc_norm", 3, -1.0),
    }


def test_a_model_is_compared_with_its_like_of_the_round_before(tmp_path: Path) -> None:
    """And what a round ended with, with what the one before did; base is the same."""
    first, second = scored(base="w" * 8, sft="w" * 8, step_apo="w" * 8), scored(base="w" * 8, sft="r" * 8)
    for row in first["models"]:
        row["is_next"] = row["model"] == "step_apo"
    for row in second["models"]:
        row["is_next"] = row["model"] == "sft"
        row["sha256"] = row["sha256"] if row["model"] == "base" else "1" * 64
    third = scored(base="w" * 8, sft="r" * 8)
    path = tmp_path / "factory.duckdb"
    sources: dict[str, list[ParquetSource]] = {}
    for number, tables in enumerate((first, second, third), start=1):
        for name, found in parquet(tmp_path, tables, number).items():
            sources.setdefault(name, []).extend(found)
    build(path, sources)
    asked = "select model, other_round, other, verdict from model_comparisons where round = 2 and other_round <> round"
    assert set(ask(path, asked).rows) == {
        ("base", 1, "base", "the same weights"),
        ("sft", 1, "sft", "better"),
        ("sft", 1, "step_apo", "better"),
    }
    assert ask(path, "select max(round - other_round) from model_comparisons").rows == [(1,)]


Answers = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def simulated(folder: Path, base: Answers, step_apo: Answers, templates: int | None = None) -> pl.DataFrame:
    """What the view says of step_apo against base in many tries, a campaign each. Their answers: [tries, benchmarks,
    questions, draws]; of so many `templates` the same number of questions each, one after the other."""
    questions = base.shape[2]
    axes = np.meshgrid(*map(np.arange, base.shape), indexing="ij")
    told = dict(
        zip(("campaign", "benchmark", "question_id"), (axis.ravel().astype(str) for axis in axes), strict=False)
    )
    told |= {"cluster": (axes[2] * (templates or questions) // questions).ravel().astype(str)}
    answers = [
        pl.DataFrame(told | {"draw": axes[3].ravel(), "model": model, "is_correct": of_model.ravel()})
        for model, of_model in (("base", base), ("step_apo", step_apo))
    ]
    both = pl.concat(answers)
    others = frame("evaluation_samples", [sample("", "", [], True)]).drop(set(both.columns) - {"campaign"})
    models = frame("models", scored(base="r", step_apo="r")["models"])
    path = folder / "factory.duckdb"
    build(path, {})
    with duckdb.connect(path) as warehouse:
        for table, rows in (
            ("evaluation_samples", both.join(others, how="cross")),
            ("models", models.join(both.select("campaign").unique(), how="cross")),
        ):
            warehouse.register("rows", rows.to_arrow())
            warehouse.execute(f"insert into {table} by name select *, 1 as round from rows")
    return pl.DataFrame(
        ask(path, "from model_comparisons where model = 'step_apo'").records(), infer_schema_length=None
    )


def share(rows: pl.DataFrame, of: pl.Expr) -> float:
    return float(rows.select(of).to_series().to_numpy().mean())


def test_holm_and_the_interval_are_as_good_as_they_say(tmp_path: Path) -> None:
    """200 pairs of models that are equally good, on five benchmarks of 20 templates of three questions each, which go
    together: at most 5 % of the pairs have a verdict, and 95 % of the intervals hold 0."""
    rng = np.random.default_rng(5)
    size = (200, 5, 20)
    solvable = rng.beta(1, 1, size)
    base, step_apo = ((rng.random(size) < solvable).repeat(3, axis=2)[..., None] for _ in range(2))
    rows = simulated(tmp_path, base, step_apo, templates=20)
    told = rows.filter(pl.col("verdict").is_in(["better", "worse"]))
    assert 0.0 < told["campaign"].n_unique() / 200 <= 0.05
    assert 0.93 <= share(rows, (pl.col("low") <= 0) & (pl.col("high") >= 0)) <= 0.99


def test_ten_templates_are_enough_for_an_interval(tmp_path: Path) -> None:
    """Each with questions that go together somewhat: with a normal deviate it held the truth in 91 of 100 tries."""
    rng = np.random.default_rng(1)
    base, step_apo = (rng.random((500, 1, 40, 1)) < rng.beta(1, 1, (500, 1, 10, 1)).repeat(4, 2) for _ in range(2))
    rows = simulated(tmp_path, base, step_apo, templates=10)
    assert 0.935 <= share(rows, (pl.col("low") <= 0) & (pl.col("high") >= 0)) <= 0.98


@pytest.mark.parametrize(
    ("n", "differing", "benchmarks", "templates"), [(50, 0.0, 1, 50), (100, 0.2, 2, 100), (120, 0.3, 1, 30)]
)
def test_what_is_detectable_is_told_in_four_of_five_tries(
    n: int, differing: float, benchmarks: int, templates: int, tmp_path: Path
) -> None:
    """Of models that never differed, of one benchmark of two that are judged at once, of templates whose questions go
    together."""
    rng = np.random.default_rng(2)

    def compared(lots: Any, difference: float) -> pl.DataFrame:
        """`lots` in [0, 1): one a template, and on other benchmarks nothing differs."""
        differ = max(differing, difference)
        lot = np.ones((len(lots), benchmarks, n, 1))
        lot[:, 0, :, 0] = lots.repeat(n // templates, axis=1)
        gained, lost = lot < (differ + difference) / 2, (lot >= (differ + difference) / 2) & (lot < differ)
        return simulated(tmp_path, lost, gained, templates).filter(benchmark="0")

    [detectable] = compared(np.arange(templates)[None, :] / templates, 0.0)["detectable"]
    told = share(compared(rng.random((250, templates)), detectable), pl.col("verdict") == "better")
    assert 0.77 <= told <= 0.88, (detectable, told)


def test_draws_that_are_unlike_do_not_make_a_difference(tmp_path: Path) -> None:
    """base has six of ten draws right, everywhere; step_apo all of them or none, on six of ten questions: as good. A
    toss for who has more of a question's draws right told them apart in 77 of 100 tries."""
    rng = np.random.default_rng(3)
    base = rng.random((150, 1, 60, 6)) < 0.6
    step_apo = (rng.random((150, 1, 60, 1)) < 0.6).repeat(6, axis=3)
    rows = simulated(tmp_path, base, step_apo)
    assert 0.01 < share(rows, pl.col("p_value") < 0.05) < 0.1


def test_the_test_by_randomisation_is_exact(tmp_path: Path) -> None:
    """Against all 2 ** 9 signs of what nine templates of unlike sizes gain, in quarters, for each has four draws."""
    rng = np.random.default_rng(4)
    templates = rng.integers(0, 9, 30)
    samples = [
        sample(model, f"b{q}", [], bool(rng.random() < share), cluster=f"t{templates[q]}", draw=draw)
        for q in range(30)
        for model, share in (("base", 0.4), ("step_apo", 0.6))
        for draw in range(4)
    ]
    [row] = comparison(tmp_path, samples)
    gains = {f"t{template}": 0 for template in range(9)}
    for one in samples:
        gains[one["cluster"]] += one["is_correct"] * (1 if one["model"] == "step_apo" else -1)
    sums = [sum(signed) for signed in product(*((gain, -gain) for gain in gains.values()))]
    expected = np.mean([abs(total) >= abs(sum(gains.values())) for total in sums])
    assert 0.001 < row["p_value"] < 0.9
    assert row["p_value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("about", "changed"),
    [
        ("evaluation", {"settings": "1" * 64}),
        ("evaluation", {"harness": "0.4.9", "task_version": "2"}),
        ("sample", {"prompt_digest": "1" * 64}),
    ],
)
def test_models_that_were_asked_otherwise_are_not_judged(about: str, changed: dict[str, str], tmp_path: Path) -> None:
    """The same models, but a round later by another decoding, a harness's other task or another prompt."""
    path = tmp_path / "factory.duckdb"
    sources: dict[str, list[ParquetSource]] = {}
    for number, letters in enumerate(("w" * 8, "r" * 8), start=1):
        tables = scored(base="w" * 8, step_apo=letters)
        tables["evaluations"] = [evaluation(model, "all", 0.5, 8) for model in ("base", "step_apo")]
        for row in tables["models"]:
            row["sha256"] = f"{number}{row['model']}".ljust(64, "0")
        if number == 2:
            for row in tables["evaluations" if about == "evaluation" else "evaluation_samples"]:
                row |= changed
        for name, found in parquet(tmp_path, tables, number).items():
            sources.setdefault(name, []).extend(found)
    build(path, sources)
    rows = ask(path, "from model_comparisons where model = 'step_apo'").records()
    assert {(row["round"], row["other_round"], row["other"]): row["verdict"] for row in rows} == {
        (1, 1, "base"): "cannot be told with n = 8",
        (2, 2, "base"): "better",
        (2, 1, "step_apo"): "asked otherwise",
    }


def test_many_questions_are_compared_too(tmp_path: Path) -> None:
    """Against scipy, where factorials would overflow."""
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, scored(base="r" * 900 + "w" * 1000, step_apo="w" * 900 + "r" * 1000)))
    [row] = ask(path, "from model_comparisons where model = 'step_apo'").records()
    assert row["p_value"] == pytest.approx(binomtest(900, 1900).pvalue, rel=1e-6)
    assert row["verdict"] == "better"


def test_a_model_that_changed_nothing_is_compared_by_the_answers_of_the_one_it_is(tmp_path: Path) -> None:
    tables = scored(base="w" * 6 + "r", step_apo="r" * 7)
    tables["models"].append(model("sft", "base") | {"same_as": "base"})
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, tables))
    verdicts = ask(path, "select model, other, verdict from model_comparisons where model > other order by all").rows
    assert verdicts == [
        ("sft", "base", "the same weights"),
        ("step_apo", "base", "better"),
        ("step_apo", "sft", "better"),
    ]


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
    pairs = {row["questions"] for row in example(path, "04_pairs_per_question")}
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
    answer = example(warehouse, "03_value_calibration")
    assert [(row["is_held_out"], row["mean_value"], row["mean_outcome"], row["nodes"]) for row in answer] == [
        (False, -0.5, -1.0, 1),
        (False, 0.5, 0.0, 3),
        (True, 0.5, 1.0, 1),
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
    answer = example(warehouse, "07_what_self_reflection_bought")
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


def test_what_is_left_out_has_a_reason(warehouse: Path) -> None:
    told = ask(warehouse, "select unit, name, reason, n from left_out").rows
    assert ("question", "trees", "held out, to rank V", 1) in told
    assert ("question", "trees", "not searched: solved without", 1) in told
    assert ("path", "tries", "the plan gave the answer away", 1) in told
    assert ("path", "trees", "not the format", 1) in told


def example(warehouse: Path, name: str) -> list[dict[str, Any]]:
    [file] = [file for file in statements("queries") if file.stem == name]
    return ask(warehouse, file.read_text()).records()

"""Models side by side, by hand: gains over base (`accuracy_by_round`), and who is better (`model_comparisons`)."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm, t

from infra.desk.power import needed
from infra.warehouse import ParquetSource, ask, build
from tasks.records import frame
from tasks.scoring.accuracy import Setup, accuracies
from tasks.scoring.paired import holm
from tests.sql.handmade import ROUND, evaluation, model, parquet, sample


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


def test_of_two_clusters_the_interval_is_students_of_one_degree(tmp_path: Path) -> None:
    """Fifty questions each, of which one is gained. By hand: off the mean by .5 each, and half of it their own."""
    tables = scored(base="w" * 100, step_apo="r" + "w" * 99)
    for row in tables["evaluation_samples"]:
        row["cluster"] = "one" if int(row["question_id"][1:]) < 50 else "other"
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, tables))
    asked = "select low, high, stderr from model_comparisons where model = 'step_apo' and other = 'base'"
    [(low, high, stderr)] = ask(path, asked).rows
    assert stderr == pytest.approx(0.01)
    independent = (0.01 - 0.01**2) / 0.01**2
    middle = 0.01 * independent / (independent + 2)
    error = math.sqrt(((0.01 * independent + 2) / (independent + 2) - middle**2) / (independent + 2))
    assert (low, high) == pytest.approx((middle - t.ppf(0.975, 1) * error, middle + t.ppf(0.975, 1) * error), rel=1e-4)


def test_a_gain_over_base_says_what_base_was_shown(tmp_path: Path) -> None:
    tables = scored(base="rwww", step_apo="rrww")
    for table in ("evaluations", "evaluation_samples"):
        tables[table] = [row | {"shots": 4 if row["model"] == "base" else 0} for row in tables[table]]
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, tables))
    told = ask(path, "select model, shots, base_shots, gain from accuracy_by_round order by model").rows
    assert told == [("base", 4, 4, 0.0), ("step_apo", 0, 4, 0.25)]


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


def test_a_model_that_is_shown_examples_and_one_that_is_not_are_asked_otherwise(tmp_path: Path) -> None:
    """As a base model and what was trained from it: the row says so, where none would say nothing."""
    tables = scored(base="w" * 8, step_apo="r" * 8)
    for name in ("evaluations", "evaluation_samples"):
        for row in tables[name]:
            row["shots"] = 3 if row["model"] == "base" else 0
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, tables))
    rows = ask(path, "select model, other, shots, n, verdict from model_comparisons order by all").rows
    assert rows == [("base", "step_apo", 3, 8, "asked otherwise"), ("step_apo", "base", 0, 8, "asked otherwise")]


def test_a_benchmark_that_is_not_judged_changes_no_verdict_of_another(tmp_path: Path) -> None:
    """Six to none, .031: better; as one of two benchmarks it could not be told (.063)."""
    tables = scored(base="w" * 6 + "r" * 10, step_apo="r" * 16)
    for name in ("evaluations", "evaluation_samples"):
        tables[name] += [row | {"benchmark": "other"} for row in tables[name]]
    path = tmp_path / "factory.duckdb"
    build(path, parquet(tmp_path, tables))
    asked = "select benchmark, verdict, p_of_all from model_comparisons where model = 'step_apo' order by all"
    assert {verdict for _, verdict, _ in ask(path, asked).rows} == {"cannot be told with n = 16"}
    for row in tables["evaluation_samples"]:
        if (row["benchmark"], row["model"]) == ("other", "base"):
            row["prompt_digest"] = "1" * 64
    path = tmp_path / "again.duckdb"
    build(path, parquet(tmp_path, tables))
    one, other = ask(path, asked).rows
    assert sorted([one[1], other[1]]) == ["asked otherwise", "better"]
    assert [p for _, verdict, p in (one, other) if verdict == "better"] == [pytest.approx(1 / 32)]


def test_a_large_cluster_pulls_the_mean_to_itself_and_the_errors_know_it(tmp_path: Path) -> None:
    """Three questions of one template are gained and the one of another is not: each is off by 3/4, which of the rest's
    mean is (3/4) / (1/4) and (3/4) / (3/4). By hand sqrt(1/2 * (3 ** 2 + 1 ** 2)) / 4."""
    path = tmp_path / "factory.duckdb"
    tables = scored(base="wwww", step_apo="rrrw")
    for row in tables["evaluation_samples"]:
        row["cluster"] = "small" if row["question_id"] == "b3" else "large"
    build(path, parquet(tmp_path, tables))
    expected = pytest.approx(math.sqrt((3**2 + 1**2) / 2) / 4)
    for asked in ("gain_stderr from accuracy_by_round", "stderr from model_comparisons"):
        [(stderr,)] = ask(path, f"select {asked} where model = 'step_apo'").rows
        assert stderr == expected
    samples = [row for row in tables["evaluation_samples"] if row["model"] == "step_apo"]
    (row,) = accuracies(frame("evaluation_samples", samples), Setup("0")).rows(named=True)
    assert row["stderr"] == expected


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

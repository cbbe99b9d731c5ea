"""`cpl show`, its pure half: from records, manifests and rows to the document that people and programs read."""

from typing import Any

import pytest

from infra.desk.display import print_answer, print_csv, print_json, print_summary
from infra.desk.summary import (
    NO_TABLES,
    Tables,
    accuracy_cell,
    accuracy_grid,
    answer_grid,
    comparison_grid,
    curve_grid,
    publication,
    summarise,
)
from infra.warehouse import Answer

RECORD: dict[str, Any] = {
    "campaign": "demo",
    "round": 2,
    "run_id": "run-2",
    "state": "completed",
    "seconds": 12.5,
    "stages": [
        {"stage": "questions", "seconds": 1.0, "cached": True},
        {"stage": "search", "seconds": 9.0, "cached": False},
    ],
    "notes": ["No pair was found."],
    "error": None,
}

FACTS = {
    "campaign": "demo",
    "round": 2,
    "recipe": "cpl-micro",
    "model": "micro",
    "state": "completed",
    "notes": ["Small."],
}


def trained(model: str, same_as: str | None = None) -> dict[str, Any]:
    return {"model": model, "parent": "base", "same_as": same_as, "updates": 5, "examples": 9, "seconds": 1.0}


def evaluation(
    model: str, kind: str = "all", benchmark: str = "micro/test", accuracy: float = 0.5, **changed: Any
) -> dict[str, Any]:
    about = {"model": model, "benchmark": benchmark, "split": "in_domain", "kind": kind}
    form = {"form": "plan", "metric": "answer", "shots": 0}
    figures = {"accuracy": accuracy, "accuracy_low": accuracy - 0.04, "accuracy_high": accuracy + 0.04, "stderr": 0.02}
    counts: dict[str, Any] = {"n": 600, "clusters": 600, "equal_clusters": 600.0} | dict.fromkeys(
        ("truncated", "unparsable", "undecided", "lost"), 0
    )
    counts |= {"generated_tokens": 81.25}
    return about | form | figures | counts | changed


TABLES: Tables = {
    "counts": {"questions": 300, "preferences": 1200},
    "models": [trained("base"), trained("sft", same_as="base"), trained("step_apo")],
    "evaluations": [evaluation("base"), evaluation("base", "add"), evaluation("step_apo", accuracy=0.75)],
    "comparisons": [
        {
            "benchmark": "micro/test",
            "split": "in_domain",
            "form": "plan",
            "metric": "answer",
            "shots": 0,
            "model": "step_apo",
            "other_round": None,
            "other": "base",
            "difference": 0.25,
            "stderr": 0.021,
            "low": 0.207,
            "high": 0.289,
            "n": 600,
            "clusters": 600,
            "equal_clusters": 600.0,
            "only_model": 171,
            "only_other": 21,
            "p_value": 0.0001,
            "p_of_all": 0.0004,
            "detectable": 0.059,
            "verdict": "better",
        }
    ],
    "curves": [
        {
            "benchmark": "micro/test",
            "split": "in_domain",
            "model": "sft",
            "decoding": decoding,
            "samples": samples,
            "accuracy": 0.5 + samples / 100,
            "accuracy_low": 0.47 + samples / 100,
            "accuracy_high": 0.55 + samples / 100,
            "stderr": 0.02,
            "n": 600,
            "equal_clusters": 600.0,
            "generated_tokens": 800.4 * samples,
        }
        for decoding, samples in (("majority", 1), ("majority", 4), ("adaptive", 4))
    ],
    "value_rankings": [
        {
            "model": "sft",
            "kind": kind,
            "trees": 30,
            "nodes": 90,
            "value_mean": -0.125,
            "value_sd": 0.013,
            "sibling_auc": auc,
            "sibling_auc_stderr": error,
            "sibling_pairs": pairs,
            "pooled_auc": 0.657,
            "prior_auc": 0.125,
        }
        for kind, auc, error, pairs in (("plan", 0.31, 0.12, 16), ("solution", None, None, 0))
    ],
    "engine": [
        {
            "stage": "search",
            "questions": 300,
            "seconds": 60.0,
            "utilisation": 0.98,
            "mean_sequences": 200.0,
            "tokens_per_second": 6500.0,
            "cache_hit_share": 0.8,
            "questions_per_hour": 18000.0,
            "mean_queue_seconds": 0.5,
            "mean_service_seconds": 1.0,
            "failed_requests": 0,
            "gpus": 0,
            "gpu_hours": 0.0,
        }
    ],
}


def published() -> dict[str, Any]:
    return publication(FACTS, "run-1", {"questions": (1.0, "run-0"), "search": (9.0, "run-1")})


def test_a_publication_says_which_stages_were_made_by_its_own_run() -> None:
    assert published()["seconds"] == 10.0
    assert published()["stages"] == [
        {"stage": "questions", "seconds": 1.0, "cached": True},
        {"stage": "search", "seconds": 9.0, "cached": False},
    ]


def test_state_seconds_and_cached_are_those_of_the_last_run() -> None:
    summary = summarise("demo", 2, RECORD, published(), TABLES)
    assert (summary["round"], summary["state"], summary["seconds"], summary["run_id"]) == (
        2,
        "completed",
        12.5,
        "run-2",
    )
    assert (summary["recipe"], summary["model"]) == ("cpl-micro", "micro")
    assert summary["stages"] == RECORD["stages"]
    assert summary["notes"] == ["No pair was found."]
    assert summary["counts"]["preferences"] == 1200


def test_evaluations_hold_all_questions_and_by_kind_the_rest() -> None:
    summary = summarise("demo", 2, RECORD, published(), TABLES)
    assert [(row["model"], row["kind"]) for row in summary["evaluations"]] == [("base", "all"), ("step_apo", "all")]
    assert [(row["model"], row["kind"]) for row in summary["by_kind"]] == [("base", "add")]
    assert set(summary["evaluations"][0]) > {"model", "benchmark", "split", "kind", "accuracy", "stderr", "n"}


def test_without_a_record_the_publication_speaks() -> None:
    summary = summarise("demo", 2, None, published(), TABLES)
    assert (summary["state"], summary["seconds"], summary["run_id"]) == ("completed", 10.0, "run-1")
    assert summary["notes"] == ["Small."]


def test_a_failed_run_shows_its_error_and_no_figures_of_an_earlier_one() -> None:
    failed = RECORD | {"state": "failed", "error": "StoreError: disk full", "notes": []}
    summary = summarise("demo", 2, failed, published(), TABLES)
    assert summary["error"] == "StoreError: disk full"
    assert (summary["counts"], summary["evaluations"]) == ({}, [])
    assert summary["notes"] == ["An earlier run of this round is published: `cpl sql` asks that one."]
    assert summarise("demo", 2, failed, None, NO_TABLES)["notes"] == []


def test_accuracies_read_as_a_grid_of_benchmarks_and_models() -> None:
    rows = [evaluation("base"), evaluation("step_apo", accuracy=0.75), evaluation("base", benchmark="micro/longer")]
    header, grid = accuracy_grid(rows, [trained("base"), trained("value"), trained("step_apo")])
    assert header == ["benchmark", "split", "n", "base", "step_apo"], "a model that was not asked has no column"
    assert grid == [
        ["micro/test", "in domain", "600", "0.500 ± 0.020", "0.750 ± 0.020"],
        ["micro/longer", "in domain", "600", "0.500 ± 0.020", ""],
    ]


def test_what_a_harness_asked_is_told_by_its_shots_and_metric() -> None:
    asked: dict[str, Any] = {"form": "standard", "metric": "acc_norm", "shots": 25}
    _, grid = accuracy_grid([evaluation("base"), evaluation("base", **asked)], [trained("base")])
    assert [row[0] for row in grid] == ["micro/test", "micro/test 25-shot acc_norm"]


def test_what_is_neither_right_nor_wrong_is_counted_apart_with_what_the_answers_took() -> None:
    header, rows = answer_grid([evaluation("base", truncated=1200, unparsable=3, undecided=2, lost=1)])
    assert dict(zip(header, rows[0], strict=True)) == {
        "benchmark": "micro/test",
        "model": "base",
        "n": "600",
        "truncated": "1,200",
        "unparsable": "3",
        "undecided": "2",
        "lost": "1",
        "tokens an answer": "81.2",
    }


def test_a_difference_is_told_with_its_errors_and_its_verdict() -> None:
    [row] = TABLES["comparisons"]
    unclear = {"other_round": 1, "difference": -0.004, "p_of_all": 0.21, "verdict": "cannot be told with n = 600"}
    header, rows = comparison_grid([row, row | unclear])
    better, unknown = (dict(zip(header, one, strict=True)) for one in rows)
    assert better == {
        "benchmark": "micro/test",
        "model": "step_apo",
        "against": "base",
        "n": "600",
        "difference": "+0.250 ± 0.021",
        "95 % interval": "+0.207 to +0.289",
        "alone right": "171 : 21",
        "p of all": "< 0.001",
        "detectable": "0.059",
        "verdict": "better",
    }
    assert (unknown["against"], unknown["p of all"]) == ("base of round 1", "0.210")
    assert (unknown["difference"], unknown["verdict"]) == ("-0.004 ± 0.021", "cannot be told with n = 600")


def test_accuracy_stands_beside_the_tokens_that_it_took() -> None:
    header, rows = curve_grid(TABLES["curves"])
    assert header == ["benchmark", "model", "decoding", "1", "4"]
    assert rows == [
        ["micro/test", "sft", "majority", "0.510 ± 0.020, 800", "0.540 ± 0.020, 3,202"],
        ["micro/test", "sft", "adaptive", "", "0.540 ± 0.020, 3,202"],
    ]


def test_a_point_of_a_curve_is_told_as_an_accuracy_is() -> None:
    point = TABLES["curves"][0]
    few = point | {"equal_clusters": 12.7}
    fewer = point | {"samples": 2, "n": 598}
    before = point | {"samples": 4, "accuracy_low": None, "accuracy_high": None, "equal_clusters": None}
    _, [row] = curve_grid([few, fewer, before])
    assert row[3:] == ["0.510 (0.480 to 0.560), 800", "0.510 ± 0.020, n = 598, 800", "0.510 ± 0.020, 800"]


def test_a_model_that_changed_nothing_is_told_by_the_name_of_the_one_it_is() -> None:
    models = [trained("base"), trained("sft", same_as="base"), trained("step_apo")]
    header, grid = accuracy_grid([evaluation("base"), evaluation("step_apo")], models)
    assert header[3:] == ["base", "sft", "step_apo"]
    assert grid[0][3:] == ["0.500 ± 0.020", "= base", "0.500 ± 0.020"]


@pytest.mark.parametrize(
    ("accuracy", "n", "cell"),
    [
        (0.0, 16, "0 of 16"),
        (0.25, 16, "4 of 16"),
        (0.5, 5, "2.5 of 5"),
        (1.0, 29, "29 of 29"),
        (0.0, 600, "0.000 (0.000 to 0.040)"),
        (4 / 600, 600, "0.007 (0.000 to 0.047)"),
        (5 / 600, 600, "0.008 ± 0.020"),
        (596 / 600, 600, "0.993 (0.953 to 1.000)"),
        (0.5, 598, "0.500 ± 0.020, n = 598"),
    ],
)
def test_an_accuracy_near_0_or_1_or_of_few_questions_has_no_standard_error(accuracy: float, n: int, cell: str) -> None:
    low, high = max(accuracy - 0.04, 0.0), min(accuracy + 0.04, 1.0)
    row = evaluation("base", accuracy=accuracy, accuracy_low=low, accuracy_high=high, n=n)
    assert accuracy_cell(row, 600) == cell


@pytest.mark.parametrize(
    ("clusters", "worth", "cell"),
    [
        (30, 30.0, "0.500 ± 0.020"),
        (29, 29.0, "0.500 (0.460 to 0.540)"),
        (31, 1.24, "0.500 (0.460 to 0.540)"),  # one template of 270 questions, and 30 questions alone
        (30, None, "0.500 ± 0.020"),  # from before the column
        (29, None, "0.500 (0.460 to 0.540)"),
    ],
)
def test_an_accuracy_of_few_templates_is_told_by_its_interval(clusters: int, worth: float | None, cell: str) -> None:
    assert accuracy_cell(evaluation("base", clusters=clusters, equal_clusters=worth), 600) == cell


def test_lost_and_undecided_answers_are_told() -> None:
    rows = [evaluation("sft", n=598, lost=2, undecided=3), evaluation("sft", "add", lost=1)]
    notes = summarise("demo", 2, None, published(), TABLES | {"evaluations": rows})["notes"]
    assert notes == [
        "Small.",
        "sft on micro/test: 2 requests failed for good; their questions are left out of n.",
        "sft on micro/test: 3 answers could not be decided and count as not solved.",
    ]


def test_a_summary_prints_stages_counts_accuracies_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(summarise("demo", 2, RECORD, published(), TABLES))
    printed = capsys.readouterr().out
    for part in (
        "Round 2 of demo: completed in 12.5 s (cpl-micro, micro)",
        "search",
        "1,200",
        "0.750 ± 0.020",
        "+0.250 ± 0.021",
        "better",
        "How V ranks siblings of held-out trees",
        "0.310 ± 0.120",
        "0.125",
        "-0.125 ± 0.013",
        "= base",
    ):
        assert part in printed
    assert "Note: No pair was found." in printed


def test_answers_print_as_table_csv_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(["text", "ids", "q"], [("[bold]a, b", [1, 2], 1 / 3), (None, None, None)])
    print_answer(answer)
    assert "[bold]a, b" in capsys.readouterr().out
    print_csv([answer])
    assert capsys.readouterr().out == 'text,ids,q\n"[bold]a, b","[1, 2]",0.3333333333333333\n,,\n'
    print_json(answer.records()[1:])
    assert capsys.readouterr().out == '[\n  {\n    "text": null,\n    "ids": null,\n    "q": null\n  }\n]\n'


def test_a_long_answer_says_that_it_was_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(Answer(["n"], [(number,) for number in range(101)]))
    assert "only the first 100 rows" in capsys.readouterr().out
    print_answer(Answer(["n"], []))
    assert "No rows." in capsys.readouterr().out

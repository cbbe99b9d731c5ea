"""`cpl show`, its pure half: from records, manifests and rows to the document that people and programs read."""

from typing import Any

import pytest

from infra.display import print_answer, print_csv, print_json, print_summary
from infra.summary import NO_TABLES, Tables, accuracy_grid, publication, summarise
from infra.warehouse import Answer

RECORD: dict[str, Any] = {
    "campaign": "demo",
    "round": 2,
    "run_id": "run-2",
    "state": "completed",
    "seconds": 12.5,
    "stages": [
        {"step": "questions", "seconds": 1.0, "cached": True},
        {"step": "search", "seconds": 9.0, "cached": False},
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


def evaluation(model: str, kind: str = "all", benchmark: str = "micro/test", accuracy: float = 0.5) -> dict[str, Any]:
    about = {"model": model, "benchmark": benchmark, "split": "in_domain", "kind": kind}
    return about | {"accuracy": accuracy, "stderr": 0.02, "n": 600}


TABLES: Tables = {
    "counts": {"questions": 300, "step_pairs": 1200},
    "evaluations": [evaluation("base"), evaluation("base", "add"), evaluation("step_apo", accuracy=0.75)],
    "value_rankings": [
        {"model": "sft", "trees": 30, "nodes": 90, "pearson": 0.5, "spearman": None, "auc": 0.7, "auc_stderr": 0.1}
    ],
    "engine": [
        {
            "step": "search",
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
        {"step": "questions", "seconds": 1.0, "cached": True},
        {"step": "search", "seconds": 9.0, "cached": False},
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
    assert summary["counts"]["step_pairs"] == 1200


def test_evaluations_hold_all_questions_and_by_kind_the_rest() -> None:
    summary = summarise("demo", 2, RECORD, published(), TABLES)
    assert [(row["model"], row["kind"]) for row in summary["evaluations"]] == [("base", "all"), ("step_apo", "all")]
    assert [(row["model"], row["kind"]) for row in summary["by_kind"]] == [("base", "add")]
    assert set(summary["evaluations"][0]) == {"model", "benchmark", "split", "kind", "accuracy", "stderr", "n"}


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
    header, grid = accuracy_grid(rows)
    assert header == ["benchmark", "split", "n", "base", "step_apo"]
    assert grid == [
        ["micro/test", "in domain", "600", "0.500 ± 0.020", "0.750 ± 0.020"],
        ["micro/longer", "in domain", "600", "0.500 ± 0.020", ""],
    ]


def test_a_summary_prints_stages_counts_accuracies_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(summarise("demo", 2, RECORD, published(), TABLES))
    printed = capsys.readouterr().out
    for part in (
        "Round 2 of demo: completed in 12.5 s (cpl-micro, micro)",
        "search",
        "1,200",
        "0.750 ± 0.020",
        "0.700 ± 0.100",
    ):
        assert part in printed
    assert "Note: No pair was found." in printed


def test_answers_print_as_table_csv_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(["text", "ids", "q"], [("[bold]a, b", [1, 2], 1 / 3), (None, None, None)])
    print_answer(answer)
    assert "[bold]a, b" in capsys.readouterr().out
    print_csv(answer)
    assert capsys.readouterr().out == 'text,ids,q\n"[bold]a, b","[1, 2]",0.3333333333333333\n,,\n'
    print_json(answer.records()[1:])
    assert capsys.readouterr().out == '[\n  {\n    "text": null,\n    "ids": null,\n    "q": null\n  }\n]\n'


def test_a_long_answer_says_that_it_was_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(Answer(["n"], [(number,) for number in range(101)]))
    assert "only the first 100 rows" in capsys.readouterr().out
    print_answer(Answer(["n"], []))
    assert "No rows." in capsys.readouterr().out

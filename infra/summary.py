"""What a round came to, as one JSON document: the pure half of `cpl show`."""

from collections.abc import Mapping
from typing import Any, TypedDict

Row = dict[str, Any]


class Tables(TypedDict):
    """What the warehouse says of one round: rows by table, and the rows of three relations."""

    counts: dict[str, int]
    evaluations: list[Row]
    value_rankings: list[Row]
    engine: list[Row]


NO_TABLES: Tables = {"counts": {}, "evaluations": [], "value_rankings": [], "engine": []}


def summarise(campaign: str, round: int, record: Row | None, published: Row | None, tables: Tables) -> Row:
    """The summary of a round, from the record of its last run, its publication, or both.

    Args:
        record: `runs/latest/<campaign>/<NNNN>.json` (tasks.record): run_id, state, seconds, stages, notes, error.
        published: the same fields, as far as the published manifests know them, with recipe and model.
        tables: of the published warehouse.

    Returns:
        campaign, round, state, recipe, model, run_id, seconds, stages [{step, seconds, cached}], counts {table: rows},
        evaluations (kind "all" alone), by_kind (the other kinds), value_rankings, engine (view engine_efficiency),
        notes, error. Where the last run failed, nothing of an earlier publication is mixed in; a note says that there
        is one.
    """
    latest = record or published or {}
    failed = latest["state"] == "failed"
    notes = list(latest["notes"])
    if failed and published is not None:
        notes.append("An earlier run of this round is published: `cpl sql` asks that one.")
    shown = NO_TABLES if failed else tables
    return {
        "campaign": campaign,
        "round": round,
        "state": latest["state"],
        "recipe": published and published["recipe"],
        "model": published and published["model"],
        "run_id": latest["run_id"],
        "seconds": latest["seconds"],
        "stages": latest["stages"],
        "counts": shown["counts"],
        "evaluations": [row for row in shown["evaluations"] if row["kind"] == "all"],
        "by_kind": [row for row in shown["evaluations"] if row["kind"] != "all"],
        "value_rankings": shown["value_rankings"],
        "engine": shown["engine"],
        "notes": notes,
        "error": latest["error"],
    }


def publication(facts: Mapping[str, Any], run_id: str, stages: Mapping[str, tuple[float, str]]) -> Row:
    """What a round's published manifest says of it; `stages` gives the seconds and the flow run of each stage.

    `seconds` are those that the stages took when they were made, by whichever run that was.
    """
    return {
        "run_id": run_id,
        "recipe": facts["recipe"],
        "model": facts["model"],
        "state": facts["state"],
        "notes": facts["notes"],
        "error": None,
        "seconds": sum(seconds for seconds, _ in stages.values()),
        "stages": [
            {"step": step, "seconds": seconds, "cached": made_by != run_id}
            for step, (seconds, made_by) in stages.items()
        ],
    }


def accuracy_grid(evaluations: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table that people read: a benchmark a row, a model a column, accuracy ± standard error."""
    models = list(dict.fromkeys(row["model"] for row in evaluations))
    benchmarks = list(dict.fromkeys((row["split"], row["benchmark"]) for row in evaluations))
    cells = {
        (row["split"], row["benchmark"], row["model"]): f"{row['accuracy']:.3f} ± {row['stderr']:.3f}"
        for row in evaluations
    }
    sizes = {(row["split"], row["benchmark"]): row["n"] for row in evaluations}
    rows = [
        [benchmark, split.replace("_", " "), str(sizes[split, benchmark])]
        + [cells.get((split, benchmark, model), "") for model in models]
        for split, benchmark in benchmarks
    ]
    return ["benchmark", "split", "n", *models], rows


def engine_grid(stages: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what people read about the engine: a stage a row. GPU hours only where there was a GPU."""
    header = ["stage", "busy", "sequences", "tok/s", "cached", "questions/h", "queue s", "service s", "failed"]
    rows = [
        [
            row["step"],
            f"{row['utilisation'] or 0:.0%}",
            f"{row['mean_sequences'] or 0:.0f}",
            f"{row['tokens_per_second'] or 0:,.0f}",
            f"{row['cache_hit_share'] or 0:.0%}",
            f"{row['questions_per_hour'] or 0:,.0f}",
            f"{row['mean_queue_seconds'] or 0:.2f}",
            f"{row['mean_service_seconds'] or 0:.2f}",
            f"{row['failed_requests']:,}",
        ]
        + ([f"{row['gpu_hours']:.2f}"] if any(one["gpus"] for one in stages) else [])
        for row in stages
    ]
    return header + (["GPU hours"] if any(row["gpus"] for row in stages) else []), rows

"""What a round came to, as one JSON document: the pure half of `cpl show`."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

Row = dict[str, Any]


class Tables(TypedDict):
    """What the warehouse says of one round: rows by table, and the rows of six relations."""

    counts: dict[str, int]
    models: list[Row]
    evaluations: list[Row]
    comparisons: list[Row]
    curves: list[Row]
    value_rankings: list[Row]
    engine: list[Row]


NO_TABLES: Tables = {
    "counts": {},
    "models": [],
    "evaluations": [],
    "comparisons": [],
    "curves": [],
    "value_rankings": [],
    "engine": [],
}

SMALL = 30
"""Of fewer answers, a person wants to know how many were right; of fewer clusters, or of clusters that are worth as few
equal ones, the interval. A standard error says too little."""
COMPARED = "Which model is better, question by question (exact test, Holm over benchmarks, 95 %)"
CURVES = "Accuracy against tokens: of so many samples or beams ± standard error, or (95 % interval), tokens"
FEW = 5
"""With fewer right (or wrong) answers, the standard error is too small; at none it is 0."""


def summarise(campaign: str, round: int, record: Row | None, published: Row | None, tables: Tables) -> Row:
    """The summary of a round, from the record of its last run, its publication, or both.

    Args:
        record: as `infra.store.rounds` reads it: run_id, state, seconds, stages, notes, error.
        published: the same fields, as far as the published manifests know them, with recipe and model.
        tables: of the published warehouse.

    Returns:
        campaign, round, state, recipe, model, run_id, seconds, stages [{stage, seconds, cached}], counts {table: rows},
        models, evaluations (kind "all" alone), by_kind (the other kinds), comparisons (view model_comparisons, of the
        arms that matter; other_round null: of the same round), curves (evaluation_curves), value_rankings, engine (view
        engine_efficiency), notes, error. Where the last run is not completed, nothing of an earlier publication is
        mixed in; a note says that there is one.
    """
    latest = record or published or {}
    unfinished = latest["state"] != "completed"
    notes = list(latest["notes"])
    if unfinished and published is not None:
        notes.append("An earlier run of this round is published: `cpl sql` asks that one.")
    shown = NO_TABLES if unfinished else tables
    evaluations = [row for row in shown["evaluations"] if row["kind"] == "all"]
    notes += [note for row in evaluations for note in _reservations(row)]
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
        "models": shown["models"],
        "evaluations": evaluations,
        "by_kind": [row for row in shown["evaluations"] if row["kind"] != "all"],
        "comparisons": shown["comparisons"],
        "curves": shown["curves"],
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
            {"stage": name, "seconds": seconds, "cached": made_by != run_id}
            for name, (seconds, made_by) in stages.items()
        ],
    }


class Section(NamedTuple):
    """A table that people read."""

    title: str
    header: list[str]
    rows: list[list[str]]


def headline(summary: Row) -> str:
    """What round it is, and what became of it."""
    made_of = ", ".join(part for part in (summary["recipe"], summary["model"]) if part)
    state = f"Round {summary['round']} of {summary['campaign']}: {summary['state']} in {summary['seconds']:.1f} s"
    return f"{state} ({made_of})" if made_of else state


def sections(summary: Row) -> list[Section]:
    """The tables of a summary, those without rows left out."""
    stages = [
        [stage["stage"], f"{stage['seconds']:.1f}", "yes" if stage["cached"] else ""] for stage in summary["stages"]
    ]
    counts = [[name, f"{rows:,}"] for name, rows in summary["counts"].items()]
    every = [
        Section("What was done", ["stage", "seconds", "reused"], stages),
        Section("What there is", ["table", "rows"], counts),
        Section(
            "Accuracy ± standard error, or its 95 % interval",
            *accuracy_grid(summary["evaluations"], summary["models"]),
        ),
        Section("Of these answers: not whole, not readable, not decided, lost", *answer_grid(summary["evaluations"])),
        Section(COMPARED, *comparison_grid(summary["comparisons"])),
        Section(CURVES, *curve_grid(summary["curves"])),
        Section("How V ranks siblings of held-out trees (chance: 0.5)", *ranking_grid(summary["value_rankings"])),
        Section("The engine", *engine_grid(summary["engine"])),
    ]
    return [section for section in every if section.rows]


def _reservations(evaluation: Row) -> list[str]:
    """What a reader of an accuracy must know of the questions that were asked in vain."""
    model, benchmark = evaluation["model"], evaluation["benchmark"]
    notes = []
    if lost := evaluation["lost"]:
        notes.append(f"{model} on {benchmark}: {lost} requests failed for good; their questions are left out of n.")
    if undecided := evaluation["undecided"]:
        notes.append(f"{model} on {benchmark}: {undecided} answers could not be decided and count as not solved.")
    return notes


def asked_as(row: Row) -> str:
    """The benchmark of an evaluation or a comparison; what a harness asked, with its shots and metric."""
    if row["form"] == "plan":
        return str(row["benchmark"])
    return f"{row['benchmark']} {row['shots']}-shot {row['metric']}"


def accuracy_grid(evaluations: list[Row], models: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table that people read: a benchmark a row, a model a column.

    n is the most that a model answered; a cell with fewer says so. A model whose weights another one has is told by
    that one's name, whether it was scored or not.
    """
    same_as = {row["model"]: row["same_as"] for row in models if row["same_as"]}
    scored = {row["model"] for row in evaluations}
    names = [row["model"] for row in models if row["model"] in scored | same_as.keys()]
    names += [name for name in dict.fromkeys(row["model"] for row in evaluations) if name not in names]
    benchmarks: dict[tuple[str, str], dict[str, Row]] = {}
    for row in evaluations:
        benchmarks.setdefault((asked_as(row), row["split"]), {})[row["model"]] = row

    def line(benchmark: str, split: str, of: dict[str, Row]) -> list[str]:
        n = max(row["n"] for row in of.values())
        cells = (
            f"= {same_as[name]}" if name in same_as else accuracy_cell(of[name], n) if name in of else ""
            for name in names
        )
        return [benchmark, split.replace("_", " "), str(n), *cells]

    rows = [line(benchmark, split, of) for (benchmark, split), of in benchmarks.items()]
    return ["benchmark", "split", "n", *names], rows


def answer_grid(evaluations: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what became of the answers, and what they took: a model on a benchmark a row."""
    counts = ("truncated", "unparsable", "undecided", "lost")
    rows = [
        [
            asked_as(row),
            row["model"],
            str(row["n"]),
            *(f"{row[name]:,}" for name in counts),
            f"{row['generated_tokens']:,.1f}",
        ]
        for row in evaluations
    ]
    return ["benchmark", "model", "n", *counts, "tokens an answer"], rows


def accuracy_cell(row: Row, n: int) -> str:
    """One accuracy with its error: right ones of a few, the interval where the standard error is no guide."""
    accuracy, answered = row["accuracy"], row["n"]
    right = round(accuracy * answered)
    if answered < SMALL:
        return f"{accuracy * answered:.3g} of {answered}"  # of several draws, a half may be right
    worth = row["equal_clusters"] or row.get("clusters", 0)  # a round from before this column has the others
    if row["accuracy_low"] is not None and (min(right, answered - right) < FEW or worth < SMALL):
        text = f"{accuracy:.3f} ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
    else:
        text = f"{accuracy:.3f} ± {row['stderr']:.3f}"
    return text if answered == n else f"{text}, n = {answered}"


def comparison_grid(comparisons: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the verdicts: two models on one benchmark a row."""
    header = ["benchmark", "model", "against", "n", "difference", "95 % interval", "alone right", "p of all"]
    rows = [
        [
            asked_as(row),
            row["model"],
            against(row),
            str(row["n"]),
            f"{row['difference']:+.3f} ± {row['stderr']:.3f}",
            f"{row['low']:+.3f} to {row['high']:+.3f}",
            f"{row['only_model']} : {row['only_other']}",
            f"{row['p_of_all']:.3f}" if row["p_of_all"] >= 0.001 else "< 0.001",
            "" if row["detectable"] is None else f"{row['detectable']:.3f}",
            row["verdict"],
        ]
        for row in comparisons
    ]
    return [*header, "detectable", "verdict"], rows


def against(comparison: Row) -> str:
    """What a model is compared with."""
    other, round = comparison["other"], comparison.get("other_round")
    return str(other) if round is None else f"{other} of round {round}"


def curve_grid(curves: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of accuracy against tokens: a decoding of a model a row, so many samples or beams a column."""
    amounts = sorted({row["samples"] for row in curves})
    asked = {row["benchmark"]: row["n"] for row in sorted(curves, key=lambda row: row["n"])}  # the most of each
    lines: dict[tuple[str, str, str], dict[int, str]] = {}
    for row in curves:
        told = f"{accuracy_cell(row, asked[row['benchmark']])}, {row['generated_tokens']:,.0f}"
        lines.setdefault((row["benchmark"], row["model"], row["decoding"]), {})[row["samples"]] = told
    header = ["benchmark", "model", "decoding", *(str(amount) for amount in amounts)]
    return header, [[*line, *(cells.get(amount, "") for amount in amounts)] for line, cells in lines.items()]


def ranking_grid(rankings: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of how V ranks siblings; what is undefined is left blank."""
    header = ["model", "steps", "trees", "pairs", "AUC of siblings", "of the prior", "V ± deviation", "pooled AUC"]
    rows = [
        [
            row["model"],
            row["kind"],
            str(row["trees"]),
            str(row["sibling_pairs"]),
            _with_error(row["sibling_auc"], row["sibling_auc_stderr"]),
            _with_error(row["prior_auc"], None),
            _with_error(row["value_mean"], row["value_sd"]),
            _with_error(row["pooled_auc"], None),
        ]
        for row in rankings
    ]
    return header, rows


def _with_error(value: float | None, error: float | None) -> str:
    return "" if value is None else f"{value:.3f}" + ("" if error is None else f" ± {error:.3f}")


def engine_grid(stages: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what people read about the engine: a stage a row. GPU hours only where there was a GPU."""
    header = ["stage", "busy", "sequences", "tok/s", "cached", "questions/h", "queue s", "service s", "failed"]
    rows = [
        [
            row["stage"],
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

"""The stage *study*: what the rounds of a study say: tables `answers`, `scores` and `claims`, and a report."""

from collections.abc import Mapping

import polars as pl

from infra.store import Ref, rounds
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.comparison import CLAIMS, SCORES, Tried, accuracies_of, report, told_of
from tasks.study import Study


@stage("study", version=2)
def compare(workplace: Workplace, name: str, study: Study, made: dict[str, Ref], tried: Tried) -> int:
    """`made`: the published rounds by their places; one that failed is not there, and the report says so."""
    answered = pl.concat([_answers(workplace, study, place, round) for place, round in made.items()])
    models = answered["model"].unique(maintain_order=True)
    scores = [row for model in models for row in accuracies_of(answered, model)]
    claims = [row for claim in study.claims for row in told_of(answered, study, claim)]
    workplace.write("answers", answered)
    workplace.write("scores", pl.DataFrame(scores, schema=SCORES))
    workplace.write("claims", pl.DataFrame(claims, schema=CLAIMS))
    lacking = [place for place in study.places() if place not in made]
    lines = report(name, study, scores, claims, _spent(workplace, made), tried, lacking, workplace.code)
    workplace.add("report.markdown", "\n".join(lines).encode())
    return len(scores)


def _answers(workplace: Workplace, study: Study, place: str, round: Ref) -> pl.DataFrame:
    """One row a model, seed and test question."""
    method, seed, number = place.split("/")
    stages = rounds.stages_of(workplace.store.manifest(round))
    found = pl.concat(
        [workplace.read(ref, "evaluation_samples") for name, ref in stages.items() if name.startswith("evaluate_")]
    )
    suffix = f"@{number}" if study.methods[method].rounds > 1 else ""
    return found.select(
        model=pl.format("{}.{}{}", pl.lit(method), pl.col("model"), pl.lit(suffix)),
        seed=pl.lit(int(seed)),
        split="split",
        benchmark="benchmark",
        question_id="question_id",
        is_correct="is_correct",
    )


def _spent(workplace: Workplace, made: Mapping[str, Ref]) -> dict[str, list[int]]:
    """By method, of every round the tokens that were learnt from."""
    spent: dict[str, list[int]] = {}
    for place, round in made.items():
        stages = rounds.stages_of(workplace.store.manifest(round)).values()
        tokens = max((ref.counts["tokens"] for ref in stages if "tokens" in ref.counts), default=0)
        spent.setdefault(place.split("/")[0], []).append(tokens)
    return spent

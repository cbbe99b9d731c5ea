"""The stage *study*: what the rounds of a study say, side by side: tables `scores` and `claims`, and a report."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from infra.store import Ref, rounds
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.paired import Estimate, estimate
from tasks.study import Claim, Study, split

SPLITS = ("in_domain", "out_of_domain")
Tried = Mapping[str, Mapping[str, list[float]]]
"""By method and tuned field: the arm's validation accuracy with each of the values that were tried."""


@stage("study", version=1)
def compare(workplace: Workplace, name: str, study: Study, made: dict[str, Ref], tried: Tried) -> int:
    """`made`: the published rounds as METHOD/SEED/ROUND; a round that failed is not there, and the report says so."""
    answered = pl.concat([_answers(workplace, study, place, round) for place, round in made.items()])
    scores = [row for model in answered["model"].unique(maintain_order=True) for row in _scores(answered, model)]
    claims = [row for claim in study.claims for row in _claim(answered, study, claim)]
    spent = _spent(workplace, made)
    workplace.write("answers", answered)
    workplace.write("scores", pl.DataFrame(scores, infer_schema_length=None))
    workplace.write("claims", pl.DataFrame(claims, infer_schema_length=None))
    lacking = [place for place in places(study) if place not in made]
    text = "\n".join(_report(name, study, scores, claims, spent, tried, lacking, workplace.code))
    workplace.add("report.md", text.encode())
    return len(scores)


def places(study: Study) -> Iterator[str]:
    """METHOD/SEED/ROUND of every round, in the order in which they are made: all seeds of a method together."""
    for method, about in study.methods.items():
        for seed in study.seeds_of(method):
            yield from (f"{method}/{seed}/{number}" for number in range(1, about.rounds + 1))


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


def right(answered: pl.DataFrame, model: str, part: str) -> pl.DataFrame:
    """Of a model the seeds as columns, and a row for each question of the split that every seed answered."""
    own = answered.filter(model=model, split=part).with_columns(pl.col("is_correct").cast(pl.Float64))
    wide = own.pivot("seed", index=["benchmark", "question_id"], values="is_correct")
    return wide.drop_nulls()


def difference(answered: pl.DataFrame, better: str, worse: str, part: str) -> Estimate | None:
    """Of two models' accuracies, question by question and seed by seed; None where they have none in common."""
    one, other = right(answered, better, part), right(answered, worse, part)
    seeds = [column for column in one.columns[2:] if column in other.columns]
    both = one.join(other, on=["benchmark", "question_id"], suffix="_other")
    if not seeds or both.height < 2:
        return None
    return estimate(np.stack([(both[seed] - both[f"{seed}_other"]).to_numpy() for seed in seeds]))


def _scores(answered: pl.DataFrame, model: str) -> Iterator[dict[str, Any]]:
    for part in SPLITS:
        found = right(answered, model, part)
        if found.height > 1:
            yield {
                "model": model,
                "split": part,
                **_fields(estimate(found.drop("benchmark", "question_id").to_numpy().T)),
            }


def _claim(answered: pl.DataFrame, study: Study, claim: Claim) -> Iterator[dict[str, Any]]:
    better, worse = (_last(study, one) for one in (claim.better, claim.worse))
    for part in SPLITS:
        found = difference(answered, better, worse, part)
        about = {"claim": claim.says, "better": better, "worse": worse, "split": part}
        if found is not None:
            yield about | _fields(found) | {"verdict": found.verdict}


def _last(study: Study, model: str) -> str:
    """The name with its round, where there are several."""
    method, arm, round = split(model)
    last = study.methods[method].rounds
    return f"{method}.{arm}" + (f"@{round or last}" if last > 1 else "")


def _fields(found: Estimate) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Estimate.__slots__}


def _spent(workplace: Workplace, made: Mapping[str, Ref]) -> dict[str, list[int]]:
    """By method, of every round the tokens that were learnt from."""
    spent: dict[str, list[int]] = {}
    for place, round in made.items():
        stages = rounds.stages_of(workplace.store.manifest(round)).values()
        tokens = max((ref.counts["tokens"] for ref in stages if "tokens" in ref.counts), default=0)
        spent.setdefault(place.split("/")[0], []).append(tokens)
    return spent


def _report(
    name: str,
    study: Study,
    scores: list[dict[str, Any]],
    claims: list[dict[str, Any]],
    spent: Mapping[str, list[int]],
    tried: Tried,
    lacking: list[str],
    code: str,
) -> Iterator[str]:
    yield f"# Study {name}\n"
    yield (
        f"Base model {study.model}; seeds {', '.join(map(str, study.seeds))}; lessons from {study.tokens:,} generated "
        f"tokens a round; code {code}. Settings were chosen on {study.validation}; the test questions were asked once."
    )
    if lacking:
        yield f"\n> **Not made:** {', '.join(lacking)}. The same command makes them."
    yield "\n## Accuracy\n"
    yield "Mean over seeds; behind ± the standard error over seeds, then over questions.\n"
    yield "| model | seeds | tokens learnt from | in domain | out of domain |"
    yield "| --- | --- | --- | --- | --- |"
    for model in dict.fromkeys(row["model"] for row in scores):
        of_model = {row["split"]: row for row in scores if row["model"] == model}
        tokens = spent[split(model).method]
        cells = [_accuracy(of_model[part]) if part in of_model else "" for part in SPLITS]
        seeds = next(iter(of_model.values()))["seeds"]
        yield f"| {model} | {seeds} | {sum(tokens) / len(tokens):,.0f} | {' | '.join(cells)} |"
    yield "\n## What the papers say\n"
    yield "Differences of accuracy, paired by seed and question, with 95 % intervals, each by itself.\n"
    yield "| claim | models | in domain | | out of domain | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for says, better, worse in dict.fromkeys((row["claim"], row["better"], row["worse"]) for row in claims):
        of_claim = {
            row["split"]: row for row in claims if (row["claim"], row["better"], row["worse"]) == (says, better, worse)
        }
        parts = [_difference(of_claim[part]) if part in of_claim else " | " for part in SPLITS]
        yield f"| {says} | {better} − {worse} | {' | '.join(parts)} |"
    yield "\n## What was chosen\n"
    yield "| field | tried: validation accuracy |"
    yield "| --- | --- |"
    for method, fields in tried.items():
        for field, found in fields.items():
            values = study.methods[method].tune[field]
            best = max(range(len(found)), key=found.__getitem__)
            told = [f"{value:g}: {score:.3f}" for value, score in zip(values, found, strict=True)]
            told[best] = f"**{told[best]}**"
            yield f"| {method}: {field} | {', '.join(told)} |"
    yield ""


def _accuracy(row: Mapping[str, Any]) -> str:
    seeds = "" if row["stderr_seeds"] is None else f" ± {row['stderr_seeds']:.3f}"
    return f"{row['mean']:.3f}{seeds} ± {row['stderr_questions']:.3f}"


def _difference(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] | {row['verdict']}"

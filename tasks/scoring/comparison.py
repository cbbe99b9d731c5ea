"""Models of a study side by side: accuracies, what becomes of the papers' claims, and the report of both.

`answered` is a frame with a row for each model, seed and test question: model, seed, split, benchmark, question_id,
is_correct (null where a request failed for good), generated_tokens (of all samples of a vote or a beam).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from tasks.scoring.paired import Estimate, estimate
from tasks.study import Claim, Study, split

SPLITS = ("in_domain", "out_of_domain")
Row = Mapping[str, Any]
ESTIMATE = {
    "mean": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "stderr_seeds": pl.Float64(),
    "stderr_questions": pl.Float64(),
    "seeds": pl.Int64(),
    "questions": pl.Int64(),
}
SCORES = pl.Schema({"model": pl.String(), "split": pl.String(), **ESTIMATE, "generated_tokens": pl.Float64()})
CLAIMS = pl.Schema(
    {name: pl.String() for name in ("claim", "better", "worse", "split")} | ESTIMATE | {"verdict": pl.String()}
)
RANKED = {
    "kind": pl.String(),
    "sibling_auc": pl.Float64(),
    "sibling_pairs": pl.Int64(),
    "prior_auc": pl.Float64(),
}
"""Of `value_rankings`, what a report tells."""
Tried = Mapping[str, Mapping[str, list[float]]]
"""By method and tuned field: the arm's validation accuracy with each of the values that were tried."""


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


def accuracies_of(answered: pl.DataFrame, model: str) -> Iterator[Row]:
    """A row of `scores` for each split; `generated_tokens`: of an answer, on average."""
    for part in SPLITS:
        found = right(answered, model, part)
        if found.height > 1:
            yield {
                "model": model,
                "split": part,
                **_fields(estimate(found.drop("benchmark", "question_id").to_numpy().T)),
                "generated_tokens": answered.filter(model=model, split=part)["generated_tokens"].mean(),
            }


def told_of(answered: pl.DataFrame, study: Study, claim: Claim) -> Iterator[Row]:
    """A row of `claims` for each split; none where a model has no answers."""
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
    return {name: getattr(found, name) for name in ESTIMATE}


def report(
    name: str,
    study: Study,
    scores: list[Row],
    claims: list[Row],
    spent: Mapping[str, int],
    tried: Tried,
    idle: Mapping[str, list[str]],
    learnt: pl.DataFrame,
    ranked: pl.DataFrame,
    code: str,
) -> Iterator[str]:
    """The study as Markdown, line by line. `spent`, `idle`: of each round that was made, by its place, the tokens that
    it learnt from and the arms that learnt nothing in it. `learnt`: by model and seed its updates. `ranked`: by model
    and seed how its V ranked siblings. `code`: the version that compared."""
    yield f"# Study {name}\n"
    yield (
        f"Base model {study.model}; seeds {', '.join(map(str, study.seeds))}; lessons from {study.tokens:,} generated "
        f"tokens a round; code {code}. Settings were chosen on {study.validation}; the test questions were asked once."
    )
    if lacking := [place for place in study.places() if place not in spent]:
        yield f"\n> **Not made:** {', '.join(lacking)}. The same command makes them."
    if told := [f"{place}: {', '.join(arms)}" for place, arms in idle.items() if arms]:
        yield f"\n> **Nothing was learnt** by these arms, which count as what they started from: {'; '.join(told)}."
    yield "\n## Accuracy\n"
    yield (
        "Mean over seeds; behind ± the standard error over seeds, then over questions. Tokens learnt from: of all "
        "rounds up to it; of an answer: in domain, all samples of a vote or a beam. Updates: of its own training.\n"
    )
    yield "| model | seeds | tokens learnt from | updates | tokens of an answer | in domain | out of domain |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    updates = dict(learnt.group_by("model").agg(pl.col("updates").mean()).iter_rows())
    for model in dict.fromkeys(row["model"] for row in scores):
        of_model = {row["split"]: row for row in scores if row["model"] == model}
        cells = [_accuracy(of_model[part]) if part in of_model else "" for part in SPLITS]
        some = next(iter(of_model.values()))
        taught = f"{_tokens(spent, model):,.0f} | {updates[model]:.0f}" if model in updates else " | "
        answer = f"{some['generated_tokens']:.0f}"
        yield f"| {model} | {some['seeds']} | {taught} | {answer} | {' | '.join(cells)} |"
    yield "\n## What the papers say\n"
    yield (
        f"Differences of accuracy, paired by seed and question, with 95 % intervals, each by itself: of {len(claims)}, "
        f"about {0.05 * len(claims):.0f} would be told apart by chance alone. Settings were chosen with one seed.\n"
    )
    yield "| claim | models | in domain | | out of domain | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for claim in study.claims:
        better, worse = (_last(study, one) for one in (claim.better, claim.worse))
        asked = (claim.says, better, worse)
        of_claim = {row["split"]: row for row in claims if (row["claim"], row["better"], row["worse"]) == asked}
        parts = [_difference(of_claim[part]) if part in of_claim else " | no answers" for part in SPLITS]
        yield f"| {claim.says} | {better} − {worse} | {' | '.join(parts)} |"
    if ranked.height:
        yield "\n## How V ranks sibling steps of held-out trees (chance: 0.5)\n"
        yield "| model | seeds | pairs | by V | by the prior |"
        yield "| --- | --- | --- | --- | --- |"
        means = ranked.group_by("model", maintain_order=True).agg(
            pl.len(), pl.sum("sibling_pairs"), pl.mean("sibling_auc"), pl.mean("prior_auc")
        )
        for model, seeds, pairs, by_value, by_prior in means.iter_rows():
            yield f"| {model} | {seeds} | {pairs} | {by_value:.3f} | {by_prior:.3f} |"
    yield "\n## What was chosen\n"
    yield "Where the best is the first or the last that was tried, others may be better.\n"
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


def _tokens(spent: Mapping[str, int], model: str) -> float:
    """What a seed's rounds learnt from, up to that of the model; mean over seeds."""
    method, _, last = split(model)
    rounds = [(place.split("/"), tokens) for place, tokens in spent.items()]
    of_seeds: dict[str, int] = {}
    for (name, seed, number), tokens in rounds:
        if name == method and int(number) <= (last or 1):
            of_seeds[seed] = of_seeds.get(seed, 0) + tokens
    return sum(of_seeds.values()) / len(of_seeds)


def _accuracy(row: Row) -> str:
    seeds = "" if row["stderr_seeds"] is None else f" ± {row['stderr_seeds']:.3f}"
    return f"{row['mean']:.3f}{seeds} ± {row['stderr_questions']:.3f}"


def _difference(row: Row) -> str:
    return f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] | {row['verdict']}"

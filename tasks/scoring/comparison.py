"""Models of a study side by side: accuracies, and what becomes of the papers' claims.

`answered` is a frame with a row for each model, seed and test question: model, seed, split, benchmark, question_id,
cluster (questions of a benchmark that are right or wrong together), is_correct (null where a request failed for good),
generated_tokens (of all samples of a vote or a beam).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from tasks.scoring.paired import Clusters, Estimate, estimate, holm
from tasks.study import Claim, Study, split

SPLITS = ("in_domain", "out_of_domain")
QUESTION = ("benchmark", "question_id", "cluster")
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
    {name: pl.String() for name in ("claim", "better", "worse", "split")}
    | ESTIMATE
    | {"p_value": pl.Float64(), "p_of_all": pl.Float64(), "verdict": pl.String()}
)


def right(answered: pl.DataFrame, model: str, part: str) -> pl.DataFrame:
    """Of a model the seeds as columns, and a row for each question of the split that every seed answered: the share of
    its draws that are right. A seed that lost all of them is none."""
    own = answered.filter(model=model, split=part).drop_nulls("is_correct")
    wide = own.pivot("seed", index=QUESTION, values="is_correct", aggregate_function="mean")
    return wide.drop_nulls()


def difference(answered: pl.DataFrame, better: str, worse: str, part: str) -> Estimate | None:
    """Of two models' accuracies, question by question and seed by seed; None where they have none in common."""
    one, other = right(answered, better, part), right(answered, worse, part)
    seeds = [column for column in one.drop(QUESTION).columns if column in other.columns]
    both = one.join(other, on=QUESTION, suffix="_other")
    if not seeds or both.height < 2:
        return None
    differences = np.stack([(both[seed] - both[f"{seed}_other"]).to_numpy() for seed in seeds])
    return estimate(differences, clusters_of(both))


def clusters_of(questions: pl.DataFrame) -> Clusters:
    """Of each question a number, which those of its benchmark have that are in its cluster."""
    return questions.select(pl.struct("benchmark", "cluster").rank("dense")).to_series().to_numpy()


def accuracies_of(answered: pl.DataFrame, model: str) -> Iterator[Row]:
    """A row of `scores` for each split; `generated_tokens`: of an answer, on average."""
    for part in SPLITS:
        found = right(answered, model, part)
        if found.height > 1:
            yield {
                "model": model,
                "split": part,
                **_fields(estimate(found.drop(QUESTION).to_numpy().T, clusters_of(found))),
                "generated_tokens": answered.filter(model=model, split=part)["generated_tokens"].mean(),
            }


def claims_of(answered: pl.DataFrame, study: Study) -> list[Row]:
    """The rows of `claims`. `p_value`: of this difference by itself; `p_of_all`: with all others (Holm)."""
    rows = [row for claim in study.claims for row in _told_of(answered, study, claim)]
    of_all = iter(holm([row["p_value"] for row in rows if row["p_value"] is not None]))
    return [{**row, "p_of_all": None if row["p_value"] is None else next(of_all)} for row in rows]


def _told_of(answered: pl.DataFrame, study: Study, claim: Claim) -> Iterator[Row]:
    """A row for each split; none where a model has no answers."""
    better, worse = (with_round(study, one) for one in (claim.better, claim.worse))
    for part in SPLITS:
        found = difference(answered, better, worse, part)
        about = {"claim": claim.says, "better": better, "worse": worse, "split": part}
        if found is not None:
            yield about | _fields(found) | {"p_value": found.p_value, "verdict": found.verdict}


def with_round(study: Study, model: str) -> str:
    """The name with its round, where there are several."""
    method, arm, round = split(model)
    last = study.methods[method].rounds
    return f"{method}.{arm}" + (f"@{round or last}" if last > 1 else "")


def _fields(found: Estimate) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ESTIMATE}

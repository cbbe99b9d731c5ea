"""Accuracies with their errors, from the samples of one model or of several.

Questions that were made from one template are right or wrong together: the standard error is clustered ("Adding Error
Bars to Evals", 2411.00640, sections 2.2 and 3.1). s_q is the mean of a question's draws, c runs over C clusters:

    stderr^2       = (C - 1) / C sum_c (sum_{q in c} (s_q - accuracy) / (1 - n_c / n))^2 / n^2
    stderr_draws^2 = sum_q var(draws of q) / draws of q / n^2          what more draws of these questions take away

A mean of few clusters comes out nearer to them than to the truth, most of all to a large one of n_c questions: hence
the jackknife's 1 - n_c / n (of equal clusters C / (C - 1) times the square; Bell and McCaffrey 2002), and Student's t
in the place of 1.96 standard errors. Both are left out where each question stands alone. One cluster tells nothing of
others.

Draws of two questions have nothing in common, so a question's draws are nested in it; seeds of a training, which all
questions share, are `tasks.scoring.paired`'s.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl

from tasks.records import TABLES, frame

Scores = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Outcome(StrEnum):
    """What became of an answer (evaluation_samples.outcome)."""

    RIGHT = "right"
    WRONG = "wrong"
    TRUNCATED = "truncated"
    UNPARSABLE = "unparsable"
    UNDECIDED = "undecided"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Setup:
    """By what an evaluation was made, as `evaluations` says it. `harness`, `task_version`: of form standard."""

    settings: str
    engine: str | None = None
    harness: str | None = None
    task_version: str | None = None


PASS = "pass@1"
"""The metric of programs: one is drawn, and passes its tests."""
BENCHMARK = ("model", "benchmark", "split", "form", "metric", "shots")
COUNTED = {
    "truncated": Outcome.TRUNCATED,
    "unparsable": Outcome.UNPARSABLE,
    "undecided": Outcome.UNDECIDED,
    "lost": Outcome.FAILED,
}
"""Columns of `evaluations` that count answers of one outcome."""


def accuracies(samples: pl.DataFrame, setup: Setup) -> pl.DataFrame:
    """Rows of `evaluations`: by benchmark, form and metric, over all questions and for each kind that occurs in them.

    n counts the questions that were answered; those whose request failed for good are `lost`, and no row has none but
    these. The 95 % interval is Wilson's, of as many questions as would have the same standard error without clusters,
    and as wide as `reach` says.
    """
    by_kind = (
        samples.explode("kinds")
        .rename({"kinds": "kind"})
        .filter(pl.col("kind") != "all")  # nor is it null
        .unique(maintain_order=True)  # a question may name a kind twice
    )
    labelled = pl.concat([samples.with_columns(kind=pl.lit("all")).select(by_kind.columns), by_kind])
    rows = (
        group.select(*BENCHMARK, "kind").row(0, named=True) | row | asdict(setup)
        for group in labelled.partition_by(*BENCHMARK, "kind")
        for row in _accuracy(group)
    )
    return frame("evaluations", ({column: row[column] for column in TABLES["evaluations"]} for row in rows))


def _accuracy(samples: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The figures of samples that belong together; none where nothing was answered."""
    answered = samples.filter(pl.col("is_correct").is_not_null())
    if answered.is_empty():
        return
    right = pl.col("is_correct").cast(pl.Float64)
    questions = answered.group_by("question_id", maintain_order=True).agg(
        cluster=pl.coalesce("cluster", "question_id").first(), share=right.mean(), draws=pl.len(), variance=right.var()
    )
    found = mean_of(questions, answered.height)
    yield {
        **found,
        "stderr_draws": error_of_draws(questions, found["stderr"]),
        "clusters": questions["cluster"].n_unique(),
        **{name: samples.filter(outcome=outcome).height for name, outcome in COUNTED.items()},
        "generated_tokens": answered["generated_tokens"].mean(),
    }


def error_of_draws(questions: pl.DataFrame, stderr: float) -> float | None:
    """The part of `stderr` that is of draws, from the `draws` of each question and their `variance`, null of one draw.

    A question that lost all other draws is taken to vary as the rest do; where these are not half of all, it is None.
    """
    variance = questions["variance"]
    if 2 * variance.null_count() > questions.height:
        return None
    of_draws = (variance.fill_null(strategy="mean") / questions["draws"]).to_numpy()
    return min(float(of_draws.sum() ** 0.5 / questions.height), stderr)


def mean_of(questions: pl.DataFrame, answers: int) -> dict[str, Any]:
    """The accuracy of questions and its errors, from the `share` of right answers and the `cluster` of each. `answers`:
    of all draws."""
    mean, stderr = float(questions["share"].to_numpy().mean()), clustered_error(questions)
    clusters = equal_clusters(questions["cluster"])
    independent = min(mean * (1 - mean) / stderr**2, answers) if stderr > 0 else questions["cluster"].n_unique()
    low, high = wilson(mean, independent, reach(clusters, questions.height))
    if questions["cluster"].n_unique() == 1 < questions.height:
        low, high = 0.0, 1.0
    return {
        "accuracy": mean,
        "accuracy_low": low,
        "accuracy_high": high,
        "stderr": stderr,
        "n": questions.height,
        "equal_clusters": clusters,
    }


def clustered_error(questions: pl.DataFrame) -> float:
    """Standard error of the mean `share` of questions, of which those of a `cluster` are right or wrong together; never
    below that of questions which are not, for few clusters may cancel out by luck."""
    off = questions.select("cluster", off=pl.col("share") - pl.col("share").mean())
    alone = off["off"].to_numpy()
    of_clusters = off.group_by("cluster", maintain_order=True).agg(pl.col("off").sum(), pl.len())
    off_clusters, sizes = of_clusters["off"].to_numpy(), of_clusters["len"].to_numpy()
    together = jackknife(off_clusters, sizes) if len(sizes) < questions.height else 0.0
    return float(max(together, (alone**2).sum()) ** 0.5 / questions.height)


def jackknife(off: Scores, sizes: np.ndarray[tuple[int, ...], Any]) -> float:
    """n^2 times the variance of a mean of n questions, by how far those of each cluster are off together, and how many
    they are. Of one cluster: 0."""
    clusters = len(sizes)
    if clusters == 1:
        return 0.0
    return float((clusters - 1) / clusters * ((off / (1 - sizes / sizes.sum())) ** 2).sum())


def equal_clusters(cluster: pl.Series) -> float:
    """Of how many equal clusters these are worth, from the cluster of each question: n^2 / sum of size^2."""
    sizes = cluster.value_counts()["count"].to_numpy()
    return float(cluster.len() ** 2 / (sizes**2).sum())


def reach(clusters: float, n: int) -> float:
    """Standard errors from a mean of `n` questions to the ends of its 95 % interval: 1.96 where each stands alone, else
    Student's t of as many equal clusters as these are worth, less one (as `model_comparisons`)."""
    from scipy.stats import norm, t  # a second that every process of a flow would wait

    return float(norm.ppf(0.975) if clusters == n else t.ppf(0.975, max(clusters - 1, 1)))


def wilson(share: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a share of `n` questions, of which there may be a fraction, `z` standard errors wide;
    95 % by default."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return 0.0 if share == 0 else middle - reach, 1.0 if share == 1 else middle + reach

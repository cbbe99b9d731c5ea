"""Accuracies with their errors, from the samples of one model or of several."""

from typing import Any

import polars as pl

from tasks.records import TABLES, frame


def accuracies(samples: pl.DataFrame) -> pl.DataFrame:
    """Rows of `evaluations`: by benchmark, over all questions and for each kind that occurs in them.

    n counts the questions that were answered; those whose request failed for good are `lost`, and no row has none but
    these. The standard error is that of a binomial share, 0 where all or none are right; the 95 % interval is
    Wilson's.
    """
    by_kind = (
        samples.explode("kinds")
        .rename({"kinds": "kind"})
        .filter(pl.col("kind") != "all")  # nor is it null
        .unique(maintain_order=True)  # a question may name a kind twice
    )
    counted = pl.concat([samples.with_columns(kind=pl.lit("all")).select(by_kind.columns), by_kind])
    groups = (
        counted.group_by("model", "benchmark", "split", "kind", maintain_order=True)
        .agg(
            right=pl.col("is_correct").sum(),
            n=pl.col("is_correct").count(),
            undecided=pl.col("is_undecided").sum(),
            lost=pl.col("is_correct").is_null().sum(),
        )
        .filter(pl.col("n") > 0)
    )
    rows = ({**group, **_share(group["right"], group["n"])} for group in groups.to_dicts())
    return frame("evaluations", ({column: row[column] for column in TABLES["evaluations"]} for row in rows))


def _share(right: int, n: int) -> dict[str, Any]:
    from scipy.stats import binomtest  # a second that every process of a flow would wait

    p = right / n
    interval = binomtest(right, n).proportion_ci(method="wilson")
    error = (p * (1 - p) / n) ** 0.5
    return {"accuracy": p, "accuracy_low": interval.low, "accuracy_high": interval.high, "stderr": error}

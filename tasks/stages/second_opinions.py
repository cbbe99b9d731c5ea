"""The stage *second_opinions*: what math-verify says of every answer that a round judged, beside its own verdict.

A stage of its own, after all that learns and is scored: nothing depends on it but the reader's trust.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from infra.store import Ref
from tasks.check.second_opinion import second_opinions
from tasks.records import TABLES
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.accuracy import PASS

JUDGED = pl.Schema({name: pl.String() for name in ("origin", "name", "metric", "gold", "answer", "ours")})


@stage("second_opinions", version=3)
def ask_second_opinions(
    workplace: Workplace,
    questions: Ref,
    searches: dict[str, Ref],
    benchmarks: dict[str, Ref],
    evaluations: dict[str, Ref],
) -> int:
    """The table `second_opinions`: terminals of the searches' trees, and samples of the evaluations, which both are
    given by name, as the benchmarks are by form. A sample of a harness counts for each of its metrics. Weighed options
    have no answer to read, and programs no gold. A pair of gold answer and answer is asked once, however often it
    occurs."""
    key = ["benchmark", "question_id", "answer"]
    golds = pl.concat([_columns(workplace, ref, "benchmarks", key) for ref in benchmarks.values()])
    judged = pl.concat(
        [
            pl.DataFrame(schema=JUDGED),
            *(_of_search(workplace, name, ref, questions) for name, ref in searches.items()),
            *(_of_evaluation(workplace, ref, golds) for ref in evaluations.values()),
        ]
    )
    counted = judged.group_by(JUDGED.names(), maintain_order=True).agg(times=pl.len().cast(pl.Int32))
    pairs = counted.select("gold", "answer").unique(maintain_order=True)
    told = pairs.with_columns(theirs=pl.Series(map(str, second_opinions(pairs.iter_rows())), dtype=pl.String))
    rows = counted.join(told, on=["gold", "answer"], maintain_order="left").match_to_schema(TABLES["second_opinions"])
    workplace.write("second_opinions", rows)
    workplace.facts |= {"pairs": pairs.height, "notes": list(notes(rows))}
    return rows.height


def notes(rows: pl.DataFrame) -> Iterator[str]:
    """One sentence on the disagreement, where there is some. What a harness judged is not this checker's."""
    both = ["right", "wrong"]
    compared = rows.filter(pl.col("origin") != "harness", pl.col("ours").is_in(both), pl.col("theirs").is_in(both))
    apart = compared.filter(pl.col("ours") != pl.col("theirs"))
    if apart.height:
        answers, others, alone = (int(some["times"].sum()) for some in (compared, apart, apart.filter(ours="right")))
        yield (
            f"math-verify judges {others:,} of {answers:,} answers otherwise ({others / answers:.1%}): {alone:,} that "
            f"are right here are wrong there, {others - alone:,} the other way round (view label_noise)"
        )


def _of_search(workplace: Workplace, name: str, search: Ref, questions: Ref) -> pl.DataFrame:
    nodes = _columns(workplace, search, "nodes", ["tree_id", "answer", "reward"]).drop_nulls("answer")
    asked = workplace.read(questions, "questions")
    if "test" in asked.columns:
        asked = asked.filter(pl.col("test").is_null())
    golds = asked.select("question_id", gold="answer")
    trees = _columns(workplace, search, "trees", ["tree_id", "question_id"]).join(golds, on="question_id")
    ours = pl.when(pl.col("reward") > 0).then(pl.lit("right")).when(pl.col("reward") < 0).then(pl.lit("wrong"))
    return nodes.join(trees, on="tree_id", maintain_order="left").select(
        pl.lit("search").alias("origin"),
        pl.lit(name).alias("name"),
        pl.lit(None, pl.String()).alias("metric"),
        "gold",
        "answer",
        ours.otherwise(pl.lit("undecided")).alias("ours"),
    )


def _of_evaluation(workplace: Workplace, evaluation: Ref, golds: pl.DataFrame) -> pl.DataFrame:
    key = ["benchmark", "question_id"]
    samples = _columns(workplace, evaluation, "evaluation_samples", [*key, "form", "metric", "answer", "outcome"])
    judged = samples.drop_nulls("answer").filter(
        pl.col("outcome").is_in(["right", "wrong", "undecided"]), pl.col("metric") != PASS
    )
    return judged.join(golds.rename({"answer": "gold"}), on=key, maintain_order="left").select(
        pl.when(form="standard").then(pl.lit("harness")).otherwise(pl.lit("benchmark")).alias("origin"),
        pl.col("benchmark").alias("name"),
        "metric",
        "gold",
        "answer",
        pl.col("outcome").alias("ours"),
    )


def _columns(workplace: Workplace, ref: Ref, table: str, columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of a table that holds the texts and token ids of a round, too."""
    return pl.read_parquet(workplace.store.fetch(ref, f"{table}.parquet"), columns=list(columns))

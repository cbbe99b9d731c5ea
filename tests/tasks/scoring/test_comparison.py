"""Models of a study side by side, on answers that can be counted by hand."""

import polars as pl
import pytest

from tasks.scoring.comparison import CLAIMS, accuracies_of, claims_of, clusters_of, difference, right
from tasks.study import Claim, Method, Study

STUDY = Study(
    model="micro",
    tokens=1000,
    seeds=(1, 2),
    validation="micro/validation",
    methods={
        "cpl": Method(recipe="cpl-micro", rounds=2, tune={"arms.sft.learning_rate": (1e-4, 2e-4)}),
        "rft": Method(recipe="rft-micro", tune={"arms.rft.learning_rate": (1e-4, 2e-4)}),
    },
    claims=(
        Claim(says="CPL beats RFT", better="cpl.sft", worse="rft.rft"),
        Claim(says="a second round helps", better="cpl.sft", worse="cpl.sft@1"),
        Claim(says="nobody was asked", better="cpl.base", worse="rft.rft"),
    ),
)

ANSWERS: dict[tuple[str, int], tuple[list[int | None], list[int]]] = {
    ("cpl.sft@2", 1): ([1, 1, 1, 1], [1, 0]),
    ("cpl.sft@2", 2): ([1, 1, 1, 0], [1, 0]),
    ("cpl.sft@1", 1): ([1, 0, 1, 1], [1, 0]),
    ("cpl.sft@1", 2): ([1, 0, 1, None], [1, 0]),
    ("rft.rft", 1): ([0, 0, 1, 1], [1, 0]),
    ("rft.rft", 2): ([0, 0, 0, 0], [0, 0]),
}
"""By model and seed: of four questions in domain and two out of it."""


def answered() -> pl.DataFrame:
    rows = [
        (model, seed, split, f"micro/{split}", f"q{number}", None if found is None else bool(found), 100 * seed)
        for (model, seed), both in ANSWERS.items()
        for split, answers in (("in_domain", both[0]), ("out_of_domain", both[1]))
        for number, found in enumerate(answers)
    ]
    columns = ["model", "seed", "split", "benchmark", "question_id", "is_correct", "generated_tokens"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(cluster="question_id")


def test_an_accuracy_is_over_seeds_and_the_questions_that_all_of_them_answered() -> None:
    (within, without) = accuracies_of(answered(), "cpl.sft@1")
    assert (within["split"], within["mean"], within["questions"], within["seeds"]) == ("in_domain", 2 / 3, 3, 2)
    assert (without["split"], without["mean"]) == ("out_of_domain", 0.5)
    assert right(answered(), "cpl.sft@1", "in_domain")["question_id"].to_list() == ["q0", "q1", "q2"]


def test_an_answer_counts_whose_tokens_nobody_counted() -> None:
    uncounted = answered().with_columns(generated_tokens=pl.lit(None, pl.Int64))
    assert right(uncounted, "cpl.sft@2", "in_domain").equals(right(answered(), "cpl.sft@2", "in_domain"))


def test_a_seed_that_lost_all_of_its_answers_is_none() -> None:
    lost = answered().with_columns(
        is_correct=pl.when((pl.col("model") == "cpl.sft@2") & (pl.col("seed") == 2)).then(None).otherwise("is_correct")
    )
    [inside] = [row for row in accuracies_of(lost, "cpl.sft@2") if row["split"] == "in_domain"]
    assert inside["seeds"] == 1
    found = difference(lost, "cpl.sft@2", "rft.rft", "in_domain")
    assert found is not None
    assert found.seeds == 1


def test_tokens_of_an_answer_are_those_of_the_model_in_the_split() -> None:
    within = pl.col("split") == "in_domain"
    counted = answered().with_columns(
        generated_tokens=pl.col("seed")
        * pl.when(model="cpl.sft@1").then(pl.when(within).then(10).otherwise(40)).otherwise(7)
    )
    assert [row["generated_tokens"] for row in accuracies_of(counted, "cpl.sft@1")] == [15.0, 60.0]


def test_one_question_tells_nothing() -> None:
    """Its error would be that of no other question."""
    one = answered().filter(question_id="q0")
    assert [*accuracies_of(one, "cpl.sft@2")] == []
    assert difference(one, "cpl.sft@2", "rft.rft", "in_domain") is None


def test_models_of_other_seeds_are_not_compared() -> None:
    apart = answered().filter((pl.col("model") == "rft.rft") == (pl.col("seed") == 2))
    assert difference(apart, "cpl.sft@2", "rft.rft", "in_domain") is None


def test_templates_of_two_benchmarks_are_not_one() -> None:
    """And an interval knows of templates."""
    alone = answered().filter(model="cpl.sft@2", split="in_domain")
    both = pl.concat([alone, alone.with_columns(benchmark=pl.lit("other"))])
    apart = both.with_columns(cluster=pl.lit("t"))
    assert len(set(clusters_of(right(apart, "cpl.sft@2", "in_domain")).tolist())) == 2
    (of_templates,), (of_questions,) = (accuracies_of(frame, "cpl.sft@2") for frame in (apart, both))
    assert of_templates["stderr_questions"] == of_questions["stderr_questions"], "never below it"
    assert of_templates["high"] != of_questions["high"]


def test_draws_of_a_question_are_its_share() -> None:
    again = answered().with_columns(is_correct=pl.lit(True))
    found = right(pl.concat([answered(), again]), "cpl.sft@1", "in_domain").sort("question_id")
    assert found["1"].to_list() == [1.0, 0.5, 1.0, 1.0]
    assert found["2"].to_list() == [1.0, 0.5, 1.0, 1.0], "a draw that failed leaves the other"


def test_a_difference_is_paired_by_seed_and_question() -> None:
    found = difference(answered(), "cpl.sft@2", "rft.rft", "in_domain")
    assert found is not None
    assert found.mean == pytest.approx((2 + 3) / 8)
    assert found.stderr_seeds == pytest.approx(abs(2 / 4 - 3 / 4) / 2)
    opposite = difference(answered(), "rft.rft", "cpl.sft@2", "in_domain")
    assert opposite is not None
    assert [opposite.mean, opposite.low] == pytest.approx([-found.mean, -found.high])
    assert difference(answered(), "cpl.value", "rft.rft", "in_domain") is None


def test_a_claim_names_the_last_round_where_it_names_none() -> None:
    rows = claims_of(answered(), STUDY)
    assert [(row["better"], row["worse"], row["split"]) for row in rows] == [
        ("cpl.sft@2", "rft.rft", "in_domain"),
        ("cpl.sft@2", "rft.rft", "out_of_domain"),
        ("cpl.sft@2", "cpl.sft@1", "in_domain"),
        ("cpl.sft@2", "cpl.sft@1", "out_of_domain"),
    ]
    assert rows[2]["mean"] == pytest.approx(1 / 3)
    assert rows[3]["mean"] == 0.0
    assert rows[3]["verdict"] == "no answer differs"
    assert pl.DataFrame(rows, schema=CLAIMS).height == 4

"""Models of a study side by side, on answers that can be counted by hand."""

import polars as pl
import pytest

from tasks.scoring.comparison import CLAIMS, SCORES, accuracies_of, difference, report, right, told_of
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
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_an_accuracy_is_over_seeds_and_the_questions_that_all_of_them_answered() -> None:
    (within, without) = accuracies_of(answered(), "cpl.sft@1")
    assert (within["split"], within["mean"], within["questions"], within["seeds"]) == ("in_domain", 2 / 3, 3, 2)
    assert (without["split"], without["mean"]) == ("out_of_domain", 0.5)
    assert right(answered(), "cpl.sft@1", "in_domain")["question_id"].to_list() == ["q0", "q1", "q2"]


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
    rows = [row for claim in STUDY.claims for row in told_of(answered(), STUDY, claim)]
    assert [(row["better"], row["worse"], row["split"]) for row in rows] == [
        ("cpl.sft@2", "rft.rft", "in_domain"),
        ("cpl.sft@2", "rft.rft", "out_of_domain"),
        ("cpl.sft@2", "cpl.sft@1", "in_domain"),
        ("cpl.sft@2", "cpl.sft@1", "out_of_domain"),
    ]
    assert rows[2]["mean"] == pytest.approx(1 / 3)
    assert rows[3]["mean"] == 0.0
    assert rows[3]["verdict"] == "cannot be told at this n"
    assert pl.DataFrame(rows, schema=CLAIMS).height == 4


def test_the_report_says_what_was_found_chosen_and_not_made() -> None:
    frame = answered()
    scores = [row for model in frame["model"].unique(maintain_order=True) for row in accuracies_of(frame, model)]
    claims = [row for claim in STUDY.claims for row in told_of(frame, STUDY, claim)]
    assert pl.DataFrame(scores, schema=SCORES).height == 6
    tried = {"cpl": {"arms.sft.learning_rate": [0.25, 0.5]}}
    spent = {"cpl/1/1": 900, "cpl/1/2": 1000, "cpl/2/1": 980, "cpl/2/2": 960, "rft/1/1": 990}
    idle = {"cpl/1/1": [], "cpl/2/1": ["step_apo"]}
    learnt = pl.DataFrame({"model": ["cpl.sft@1", "cpl.sft@2", "cpl.sft@2"], "updates": [7, 8, 10]})
    ranked = pl.DataFrame(
        {
            "model": ["cpl.value@1"] * 2,
            "kind": ["plan"] * 2,
            "sibling_auc": [0.9, 0.8],
            "sibling_pairs": [10, 20],
            "prior_auc": [0.5, 0.3],
        }
    )
    text = "\n".join(report("mine", STUDY, scores, claims, spent, tried, idle, learnt, ranked, "1.0"))
    assert "| cpl.sft@2 | 2 | 1,920 | 9 | 150 | 0.875 ± 0.125 ± 0.125 |" in text, "a second round has cost both"
    assert "| cpl.sft@1 | 2 | 940 | 7 | 150 |" in text
    assert "| rft.rft | 2 |  |  | 150 |" in text, "what was not trained has learnt from no tokens"
    assert "| cpl.value@1 | 2 | 30 | 0.850 | 0.400 |" in text
    assert "of 4, about 0 would be told apart by chance" in text
    assert "| CPL beats RFT | cpl.sft@2 − rft.rft | +0.625 [" in text
    assert "| nobody was asked | cpl.base@2 − rft.rft |  | no answers |  | no answers |" in text
    assert "| cpl: arms.sft.learning_rate | 0.0001: 0.250, **0.0002: 0.500** |" in text
    assert "**Not made:** rft/2/1" in text
    assert "**Nothing was learnt** by these arms, which count as what they started from: cpl/2/1: step_apo." in text
    assert "code 1.0" in text

"""Curves of accuracy against tokens: closed forms for votes of independent samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from tasks.records import frame
from tasks.scoring.accuracy import wilson
from tasks.scoring.spending import curves, curves_of_beams


def sampled(question: int, votes: Sequence[str | None], values: Sequence[float] = (), draw: int = 0) -> list[Any]:
    """Trajectories of a question whose right answer is "5", ten tokens each."""
    return [
        {
            "model": "sft",
            "benchmark": "micro/test",
            "split": "in_domain",
            "question_id": f"q{question}",
            "draw": draw,
            "trajectory": number,
            "cluster": None,
            "vote": vote,
            "is_correct": vote == "5",
            "value": values[number] if values else 0.0,
            "generated_tokens": 10,
        }
        for number, vote in enumerate(votes)
    ]


def points(*questions: list[Any]) -> dict[tuple[str, int], dict[str, Any]]:
    rows = curves(frame("evaluation_trajectories", [row for question in questions for row in question]), by_value=True)
    return {(row["decoding"], row["samples"]): row for row in rows.to_dicts()}


def test_one_sample_is_right_as_often_as_samples_are_and_all_are_what_was_voted() -> None:
    """Of four trajectories three are right. With two, the first of a tie wins: 3/4 of the orders begin right."""
    found = points(*(sampled(number, ["5", "7", "5", "5"]) for number in range(40)))
    assert found.keys() == {
        *((one, k) for one in ("best_of_n", "majority", "majority_by_value") for k in (1, 2, 4)),
        ("adaptive", 4),
    }
    assert found["majority", 1]["accuracy"] == pytest.approx(0.75, abs=0.03)
    assert found["majority", 2]["accuracy"] == pytest.approx(0.75, abs=0.03)
    assert found["majority", 4]["accuracy"] == 1.0
    assert [found["majority", k]["generated_tokens"] for k in (1, 2, 4)] == [10, 20, 40]
    assert (found["majority", 4]["n"], found["majority", 4]["stderr"]) == (40, 0.0)


def test_more_votes_are_right_as_often_as_the_binomial_says() -> None:
    """Two answers, of which a sample gives the right one with chance .7: a vote of k is right if more than half are, or
    half and the first. Over many questions with fresh samples."""
    rng = np.random.default_rng(2)
    found = points(*(sampled(number, ["5" if one < 0.7 else "7" for one in rng.random(8)]) for number in range(300)))
    for k in (1, 2, 4, 8):
        point = found["majority", k]
        more = binom.sf(k // 2, k, 0.7) + (binom.pmf(k // 2, k, 0.7) / 2 if k % 2 == 0 else 0.0)
        assert point["accuracy"] == pytest.approx(more, abs=3 * point["stderr"] + 0.01)


def test_value_decides_as_the_decodings_have_it() -> None:
    votes, values = ["5", "5", "5", "7", "7", "6", None, None], [-0.9, -0.9, -0.9, 0.2, 0.2, 0.9, 0.0, 0.0]
    found = points(sampled(0, votes, values))
    assert [found[one, 8]["accuracy"] for one in ("majority", "majority_by_value", "best_of_n")] == [1.0, 0.0, 0.0]
    found = points(sampled(0, votes, [0.0, 0.0, 0.95, *values[3:]]))
    assert found["best_of_n", 8]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("votes", "values"),
    [
        (["5", "7", "7", None], [0.9, -0.2, -0.2, 0.0]),  # 1.9 against 1.6
        (["5", "5", "5", "7"], [-0.5, -0.5, -0.5, 0.2]),  # 1.5 against 1.2
    ],
)
def test_a_vote_by_value_weighs_each_sample_by_one_and_its_value(votes: list[str | None], values: list[float]) -> None:
    assert points(sampled(0, votes, values))["majority_by_value", 4]["accuracy"] == 1.0


def test_of_the_same_value_the_first_sample_is_the_best() -> None:
    found = points(*(sampled(number, ["5", "7"]) for number in range(9)))
    assert found["best_of_n", 2]["accuracy"] == found["best_of_n", 1]["accuracy"] != 0.5


def test_the_same_samples_give_the_same_curve_to_its_last_digit() -> None:
    """A sum depends on its order: it is that in which the questions stand."""
    asked = [
        sampled(number, ["5"] * (1 + number * draw % 3) + ["7"] * (3 - number * draw % 3), draw=draw)
        for number in range(20)
        for draw in (1, 2, 3)
    ]
    found = [points(*asked) for _ in range(5)]
    assert found == found[:1] * 5


def test_adaptive_spends_where_samples_disagree_and_no_more_in_all() -> None:
    """Three of four questions are agreed on after two of four samples. So the last gets what all save: 2 + 8, of the
    twelve that there are; at eight a question, all that there is. Its vote is split 7 to 5."""
    agreed = [sampled(number, ["5"] * 12) for number in range(3)]
    split = sampled(3, ["5"] * 7 + ["7"] * 5)
    found = points(*agreed, split)
    four = found["adaptive", 4]
    assert four["generated_tokens"] < found["majority", 4]["generated_tokens"] == 40, "the two first may agree by luck"
    assert four["generated_tokens"] > 20
    assert found["adaptive", 8]["accuracy"] == 1.0
    assert found["adaptive", 8]["generated_tokens"] == pytest.approx((3 * 40 + 120) / 4, abs=1)
    assert four["accuracy"] > found["majority", 4]["accuracy"], "the vote of ten is right more often than that of four"


def test_where_all_disagree_adaptive_is_the_vote() -> None:
    found = points(*(sampled(number, [str(vote) for vote in range(12)]) for number in range(3)))
    for k in (4, 8):
        assert found["adaptive", k] == found["majority", k] | {"decoding": "adaptive"}


def test_a_question_that_nobody_answers_is_one_that_they_disagree_on() -> None:
    found = points(sampled(0, [None] * 4), sampled(1, ["5"] * 4))
    assert found["adaptive", 4]["generated_tokens"] == 30
    assert found["adaptive", 4]["accuracy"] == 0.5


def test_draws_of_a_question_are_one_question_and_templates_go_together() -> None:
    twice = points(*(sampled(q, [vote] * 2, draw=draw) for q, draw, vote in ((0, 0, "5"), (0, 1, "7"), (1, 0, "5"))))
    assert (twice["majority", 2]["n"], twice["majority", 2]["accuracy"]) == (2, 0.75)
    rows = [row | {"cluster": "one"} for number in range(4) for row in sampled(number, ["5" if number < 2 else "7"])]
    rows[2]["cluster"] = rows[3]["cluster"] = "other"
    assert points(rows)["majority", 1]["stderr"] == pytest.approx((2 / 1 * (1 + 1)) ** 0.5 / 4)
    rows[0]["cluster"] = rows[1]["cluster"] = None  # these two stand alone
    assert points(rows)["majority", 1]["stderr"] == pytest.approx(
        (2 / 3 * (2 * (0.5 / 0.75) ** 2 + (1 / 0.5) ** 2)) ** 0.5 / 4
    )


def test_one_sample_of_one_question_is_a_curve() -> None:
    assert points(sampled(0, ["5"]))["majority", 1]["accuracy"] == 1.0


def test_all_samples_are_a_point_too() -> None:
    found = curves(frame("evaluation_trajectories", sampled(0, ["5"] * 6)), by_value=False)
    assert found.filter(decoding="majority")["samples"].to_list() == [1, 2, 4, 6]
    assert curves(frame("evaluation_trajectories", sampled(0, ["5"] * 4)), by_value=False).height == 4


def test_without_a_value_nothing_is_chosen_by_it() -> None:
    """V would be 0 everywhere, and best-of-n the first of its samples."""
    found = curves(frame("evaluation_trajectories", sampled(0, ["5"] * 4)), by_value=False)
    assert set(found["decoding"]) == {"majority", "adaptive"}


def test_each_number_of_beams_is_a_point_and_draws_of_a_question_are_one() -> None:
    """Two questions, the first drawn twice: with one beam right in half of its draws, with two in both."""
    about = {"model": "sft", "benchmark": "micro/test", "split": "in_domain", "cluster": None, "answer": "5"}
    rows = [
        about
        | {"question_id": question, "draw": draw, "beams": beams, "is_correct": right, "generated_tokens": 10 * beams}
        for question, draw, of_one in (("q0", 0, True), ("q0", 1, False), ("q1", 0, False))
        for beams, right in ((1, of_one), (2, question == "q0"))
    ]
    found = curves_of_beams(frame("evaluation_beams", rows))
    points = found.select("decoding", "samples", "accuracy", "n", "generated_tokens", "stderr").rows()
    assert points == [
        ("beam", 1, 0.25, 2, 10.0, pytest.approx((2 * 0.25**2) ** 0.5 / 2)),
        ("beam", 2, 0.5, 2, 20.0, pytest.approx((2 * 0.5**2) ** 0.5 / 2)),
    ]
    two = found.row(1, named=True)
    assert (two["accuracy_low"], two["accuracy_high"]) == pytest.approx(wilson(0.5, 2))
    assert two["equal_clusters"] == 2
    both = curves_of_beams(frame("evaluation_beams", [*rows, rows[0] | {"model": "base"}]))
    assert both.select("model", "samples", "accuracy").rows() == [("sft", 1, 0.25), ("sft", 2, 0.5), ("base", 1, 1.0)]


def test_nothing_was_sampled() -> None:
    assert curves(frame("evaluation_trajectories", []), by_value=True).equals(
        pl.DataFrame(frame("evaluation_curves", []))
    )
    assert curves_of_beams(frame("evaluation_beams", [])).is_empty()

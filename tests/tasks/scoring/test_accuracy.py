"""Accuracies over all questions and by kind, and their errors: clusters, draws, and an interval that holds the truth as
often as it says."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest, t

from tasks.records import frame
from tasks.scoring.accuracy import Setup, accuracies, wilson
from tests.sql.handmade import sample


def of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of all questions."""
    found = accuracies(frame("evaluation_samples", rows), Setup("digest", "0.32.0", "lm-eval 0.4.13", "3.0"))
    (row,) = found.filter(kind="all").to_dicts()
    return row


def answers(outcomes: str, cluster: str | None = None, first: int = 0, draw: int = 0) -> list[dict[str, Any]]:
    """A letter a question, r(ight) or w(rong)."""
    return [
        sample("base", f"b{first + place}", [], letter == "r", cluster=cluster, draw=draw)
        for place, letter in enumerate(outcomes)
    ]


def answered(number: int, kinds: list[str], is_correct: bool | None, **about: Any) -> dict[str, Any]:
    return sample("base", f"q{number}", kinds, is_correct, **about)


def scored(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return accuracies(frame("evaluation_samples", rows), Setup("digest", "0.32.0"))


def test_accuracy_over_all_and_by_kind() -> None:
    rows = [
        answered(0, ["add"], True),
        answered(1, ["add", "sub", "add"], True),
        answered(2, ["sub"], False),
        answered(3, [], False),
    ]
    table = {row["kind"]: row for row in scored(rows).to_dicts()}
    assert (table["all"]["accuracy"], table["all"]["n"]) == (0.5, 4)
    assert table["all"]["stderr"] == pytest.approx(math.sqrt(0.25 / 4))
    assert (table["add"]["accuracy"], table["add"]["n"]) == (1.0, 2)
    assert (table["sub"]["accuracy"], table["sub"]["n"]) == (0.5, 2)
    assert table.keys() == {"all", "add", "sub"}


def test_the_kinds_stand_in_the_order_in_which_the_questions_have_them() -> None:
    kinds = [f"kind {number * 7 % 30:02}" for number in range(30)]
    rows = [answered(0, kinds[:20] * 2, True), answered(1, [*kinds[20:], *kinds], False)]
    table = scored(rows)
    assert table["kind"].to_list() == ["all", *kinds]


def test_a_kind_that_is_called_all_counts_no_question_twice() -> None:
    table = scored([answered(i, ["all", "add"], i < 2, outcome="truncated") for i in range(4)])
    found = table.select("kind", "n", "truncated", "stderr_draws").rows()
    assert found == [("all", 4, 4, None), ("add", 4, 4, None)], "nor is a second label a second draw"


def test_none_of_sixteen_is_not_known_to_be_zero() -> None:
    """Wilson's interval, where the binomial error says 0: of 16 questions z^2 / (n + z^2) = .194."""
    [row] = scored([answered(number, [], False) for number in range(16)]).to_dicts()
    assert (row["accuracy"], row["stderr"], row["accuracy_low"]) == (0.0, 0.0, 0.0)
    z = 1.959964
    assert row["accuracy_high"] == pytest.approx(z**2 / (16 + z**2), abs=1e-6)


def test_the_interval_holds_the_accuracy() -> None:
    rows = [answered(number, [], number < 30) for number in range(40)]
    [row] = scored(rows).to_dicts()
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((0.598, 0.858), abs=1e-3)


def test_lost_questions_are_left_out_and_counted_and_what_is_no_answer_is_not_solved() -> None:
    rows = [
        answered(0, ["add"], True),
        *(
            answered(1 + i, ["add"], False, outcome=one)
            for i, one in enumerate(("undecided", "truncated", "unparsable"))
        ),
        answered(4, ["add", "sub"], None),
    ]
    table = {row["kind"]: row for row in scored(rows).to_dicts()}
    assert table.keys() == {"all", "add"}, "of a kind whose questions are all lost, nothing is known"
    for row in table.values():
        assert (row["accuracy"], row["n"], row["lost"]) == (0.25, 4, 1)
        assert (row["undecided"], row["truncated"], row["unparsable"]) == (1, 1, 1)


def test_questions_of_one_template_that_go_together_are_fewer_than_they_are() -> None:
    """Four templates of three questions, two right and two wrong: worth less than four questions. By hand: the clusters
    are off by 3 * .5, so stderr = sqrt(4 / 3 * 4 * 1.5 ** 2) / 12 = sqrt(.25 / 3), and not sqrt(.25 / 12)."""
    rows = [
        one
        for number, letters in enumerate(("rrr", "www", "rrr", "www"))
        for one in answers(letters, f"template {number}", first=3 * number)
    ]
    row = of(rows)
    assert (row["n"], row["clusters"], row["accuracy"]) == (12, 4, 0.5)
    assert row["stderr"] == pytest.approx((0.25 / 3) ** 0.5)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(wilson(0.5, 3, t.ppf(0.975, 3)))


def test_clusters_that_cancel_out_make_nothing_more_certain() -> None:
    row = of(answers("rw", "one") + answers("rw", "other", first=2))
    assert row["stderr"] == pytest.approx((0.25 / 4) ** 0.5)


def test_clusters_that_are_all_right_count_once_each() -> None:
    row = of(answers("rrrr", "one") + answers("rrrr", "other", first=4) + answers("r", first=8))
    assert (row["stderr"], row["clusters"]) == (0.0, 3)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(wilson(1.0, 3, t.ppf(0.975, 81 / 33 - 1)))
    assert row["accuracy_high"] == 1.0
    assert row["equal_clusters"] == pytest.approx(81 / 33), "9 questions in clusters of 4, 4 and 1"


def test_one_template_tells_nothing() -> None:
    row = of(answers("rrrrrrwwwwww", "one"))
    assert row["stderr"] == pytest.approx((0.25 / 12) ** 0.5), "of nothing but these questions"
    assert (row["accuracy_low"], row["accuracy_high"]) == (0.0, 1.0)
    alone = of(answers("r", "one"))
    assert (alone["accuracy_low"], alone["accuracy_high"]) == pytest.approx(wilson(1.0, 1)), "a question of its own"


def test_errors_of_draws_and_of_questions_are_told_apart() -> None:
    """Shares 1, 1/2, 1/2, 0 of two draws: var(draws) is 1/2 for two questions, 0 for the others."""
    row = of(answers("rrww") + answers("rwrw", draw=1))
    assert (row["accuracy"], row["n"]) == (0.5, 4)
    assert row["stderr"] == pytest.approx((0.25 + 0.25) ** 0.5 / 4)
    assert row["stderr_draws"] == pytest.approx((0.25 + 0.25) ** 0.5 / 4)
    assert of(answers("rrww"))["stderr_draws"] is None
    certain = of(answers("rrww") + answers("rrww", draw=1))
    assert (certain["stderr_draws"], certain["stderr"]) == (0.0, pytest.approx(0.25))


def test_a_draw_that_failed_leaves_the_others_of_its_question() -> None:
    gone = sample("base", "b0", [], None, draw=1)
    row = of([*answers("rw"), gone])
    assert (row["n"], row["lost"], row["accuracy"], row["stderr_draws"]) == (2, 1, 0.5, None)
    gone = sample("base", "b7", [], None, draw=1)
    row = of([*answers("rrrrwwww"), *answers("rrrwwww", draw=1), gone])
    assert row["stderr_draws"] == pytest.approx((0.5 / 2 + 0.5 / 7) ** 0.5 / 8), "it varies as the rest do"
    few = [*answers("rrrww"), *answers("rw", draw=1)]
    assert of(few)["stderr_draws"] is None, "two that were drawn twice do not tell of three others"


def test_the_error_of_draws_is_no_more_than_the_whole_error() -> None:
    """Draws that differ on every question whose shares are alike: by luck the questions seem to be one."""
    row = of(answers("rrrr") + answers("wwww", draw=1))
    assert (row["stderr"], row["stderr_draws"]) == (0.0, 0.0)


def test_forms_and_metrics_are_scored_apart_and_the_setup_stands_beside_them() -> None:
    rows = [
        sample("base", "b0", [], right, form=form, metric=metric, shots=shots, generated_tokens=tokens)
        for form, metric, shots, right, tokens in (
            ("plan", "answer", 0, False, 10),
            ("standard", "acc", 5, True, 0),
            ("standard", "acc_norm", 5, False, 0),
        )
    ]
    found = accuracies(frame("evaluation_samples", rows), Setup("digest", "0.32.0", "lm-eval 0.4.13", "3.0"))
    told = found.select("form", "metric", "shots", "accuracy", "generated_tokens").rows()
    assert told == [
        ("plan", "answer", 0, 0.0, 10.0),
        ("standard", "acc", 5, 1.0, 0.0),
        ("standard", "acc_norm", 5, 0.0, 0.0),
    ]
    setup = found.select("settings", "engine", "harness", "task_version").unique().rows()
    assert setup == [("digest", "0.32.0", "lm-eval 0.4.13", "3.0")]


@pytest.mark.parametrize(("right", "n"), [(0, 16), (1, 30), (30, 40), (40, 40)])
def test_wilsons_interval_is_scipys(right: int, n: int) -> None:
    reference = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_an_interval_ends_where_shares_do() -> None:
    """Rounding would leave 1e-17 of questions of which none is right, and more than 1 where all are."""
    for n in range(1, 60):
        assert (wilson(0, n)[0], wilson(1, n)[1]) == (0.0, 1.0)


def test_the_same_answers_give_the_same_numbers_to_their_last_digit() -> None:
    """A sum depends on its order: it is that in which the questions stand."""
    rows = [
        sample("base", f"b{number}", [], draw * 5 % 7 < number // 3 % 7, cluster=f"t{number // 3}", draw=draw)
        for number in range(90)
        for draw in range(1 + number % 7)
    ]
    found = [of(rows) for _ in range(8)]
    assert found == found[:1] * 8


@pytest.mark.parametrize(("templates", "times"), [(60, 80), (4, 200)])
def test_the_interval_holds_the_truth_as_often_as_it_says(templates: int, times: int) -> None:
    """Templates of five questions, whose chance is .2 in one half and .8 in the other. An interval that does not know
    of templates holds the truth far less often; one of 1.96 standard errors does of four templates."""
    rng = np.random.default_rng(1)
    n = 5 * templates
    asked = [one for k in range(templates) for one in answers("w" * 5, f"template {k}", first=5 * k)]
    rows = frame("evaluation_samples", asked)
    held = naive = 0
    for _ in range(times):
        right = rng.random(n) < rng.choice([0.2, 0.8], templates).repeat(5)
        found = accuracies(rows.with_columns(is_correct=pl.Series(right)), Setup("")).row(0, named=True)
        held += found["accuracy_low"] <= 0.5 <= found["accuracy_high"]
        low, high = wilson(float(right.mean()), n)
        naive += low <= 0.5 <= high
    assert 0.92 <= held / times <= 0.99
    assert naive / times < 0.88

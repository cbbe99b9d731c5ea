"""A mean over seeds and questions that were both drawn: what its interval promises."""

import numpy as np
import pytest

from tasks.scoring.accuracy import Scores
from tasks.scoring.paired import Estimate, holm
from tasks.scoring.paired import estimate as clustered_estimate


def estimate(scores: Scores) -> Estimate:
    """Where each question stands alone."""
    return clustered_estimate(scores, np.arange(scores.shape[1]))


def drawn(
    rng: np.random.Generator, seeds: int, questions: int, of_seeds: float, of_questions: float
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Scores whose mean is 0, with the given deviations of seeds and questions and 1 for the rest."""
    return (
        rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, of_questions, (1, questions))
        if of_seeds or of_questions
        else np.zeros((seeds, questions))
    ) + rng.normal(0, 1, (seeds, questions))


@pytest.mark.parametrize(("of_seeds", "of_questions"), [(0.0, 0.0), (0.5, 0.0), (0.0, 1.0), (0.3, 1.0)])
def test_its_interval_holds_the_truth_as_often_as_it_says(of_seeds: float, of_questions: float) -> None:
    """Whichever of both varies most: an interval over questions alone would be far too narrow where seeds do."""
    rng = np.random.default_rng(0)
    found = [estimate(drawn(rng, 5, 60, of_seeds, of_questions)) for _ in range(600)]
    held = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.92 <= held <= 1.0
    if of_seeds == 0.5:
        narrow = np.mean([abs(one.mean) <= 2 * one.stderr_questions for one in found])
        assert narrow < 0.75


@pytest.mark.parametrize("seeds", [3, 8])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 3.0, 10.0])
def test_few_seeds_and_many_are_enough_for_an_interval(share: float, seeds: int) -> None:
    """`share`: how many times more seeds add to the variance of the mean than questions do."""
    rng = np.random.default_rng(0)
    of_seeds = (share / 400 * seeds) ** 0.5
    found = [estimate(drawn(rng, seeds, 400, of_seeds, 1.0)) for _ in range(1000)]
    p_values = np.array([one.p_value for one in found])
    assert 0.94 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 1.0
    assert [*(p_values < 0.05)] == [one.low > 0 or one.high < 0 for one in found]
    assert np.mean(p_values < 0.002) <= 0.004, "where many are judged at once, such ones are told apart"


def test_its_errors_are_those_of_the_means() -> None:
    scores = np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    found = estimate(scores)
    assert found.mean == 0.625
    assert found.stderr_seeds == pytest.approx(0.125)  # of .75 and .5
    assert found.stderr_questions == pytest.approx(np.std([1.0, 0.0, 0.5, 1.0], ddof=1) / 2)
    assert (found.seeds, found.questions) == (2, 4)
    assert found.low < found.mean < found.high
    assert found.high - found.mean == pytest.approx(found.mean - found.low)


@pytest.mark.parametrize(
    ("scores", "clusters", "t", "stderr"),
    [
        ([[1, 0]], [0, 1], 12.7062, 1 / 2),  # of 1 degree of freedom
        ([[1, 0, 1, 0]], [0, 1, 2, 3], 3.18245, 12**-0.5),  # of 3
        ([[1, 1, 0, 0]], [0, 0, 1, 1], 12.7062, 1 / 2),  # two clusters: of 1
        ([[1, 1], [0, 0], [1, 1]], [0, 1], 4.30265, 1 / 3),  # seeds alone: of 2
        ([[1, 1, 0, 0], [1, 0, 1, 0]], [0, 1, 2, 3], 6.01666, 24**-0.5),  # 0 + 1/24 - 1/24, at least 1/24: of 3/2
        ([[1, 1, 1, 0], [0, 0, 0, 1]], [0, 1, 2, 3], 28.7464, 1 / 4),  # 1/16 + 0 - 1/16, at least 1/16: of 3/4
    ],
)
def test_how_far_it_reaches_by_hand(scores: list[list[int]], clusters: list[int], t: float, stderr: float) -> None:
    """Quantiles of Student's t for the degrees of freedom by Satterthwaite, and the error that they multiply."""
    found = clustered_estimate(np.array(scores, dtype=float), np.array(clusters))
    assert found.high - found.mean == pytest.approx(t * stderr, rel=1e-5)


def test_one_seed_tells_nothing_of_seeds() -> None:
    rng = np.random.default_rng(1)
    found = estimate(rng.normal(0, 1, (1, 400)))
    assert found.stderr_seeds is None
    assert found.high - found.low == pytest.approx(2 * 1.966 * found.stderr_questions, rel=1e-3)


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ([[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1]], "holds"),
        ([[-1, -1, -1, 0, -1, -1], [-1, -1, -1, -1, -1, -1], [-1, -1, 0, -1, -1, -1]], "the opposite"),
        ([[1, -1, 0, 0, 1, -1], [0, 0, 1, 0, -1, 0], [1, 0, 1, 0, 0, 0]], "cannot be told at this n"),
    ],
)
def test_a_difference_is_told_only_where_its_interval_is_on_one_side(scores: list[list[int]], verdict: str) -> None:
    assert estimate(np.array(scores, dtype=float)).verdict == verdict


def test_one_seed_is_never_enough_for_a_claim() -> None:
    assert estimate(np.ones((1, 400)) - np.eye(1, 400)).verdict == "cannot be told by one seed"


def test_where_no_answer_differs_nothing_was_measured() -> None:
    assert estimate(np.zeros((3, 400))).verdict == "no answer differs"
    assert estimate(np.eye(3, 400)).verdict == "cannot be told at this n"


def test_of_many_differences_that_are_not_there_none_is_told_in_nineteen_of_twenty_studies() -> None:
    """Each by itself would be told apart in most of them."""
    rng = np.random.default_rng(0)
    studies = [[estimate(drawn(rng, 5, 30, 0.0, 0.0)).p_value or 0.0 for _ in range(40)] for _ in range(60)]
    assert np.mean([min(of_one) < 0.05 for of_one in studies]) > 0.3
    assert np.mean([min(holm(of_one)) < 0.05 for of_one in studies]) < 0.15


def test_holm_adjusts_by_rank() -> None:
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("seeds", [1, 5])
def test_questions_of_one_template_are_not_independent(seeds: int) -> None:
    """Ten templates of eight questions: taken as eighty questions, the interval held the truth in 7 of 10 tries."""
    rng = np.random.default_rng(4)
    template = np.arange(80) // 8
    drawn = [rng.normal(0, 1, 10)[template] + rng.normal(0, 1, (seeds, 80)) for _ in range(600)]
    held = [
        np.mean([one.low <= 0 <= one.high for one in found])
        for found in ([clustered_estimate(one, template) for one in drawn], [estimate(one) for one in drawn])
    ]
    assert 0.93 <= held[0] <= 0.98
    assert held[1] < 0.8


def test_large_clusters_beside_small_ones_leave_an_interval_that_holds_and_a_p_value_that_is_right() -> None:
    """With C / (C - 1) in the place of each cluster's own share, 91 of 100 intervals held, and 9 of 100 p-values were
    below .05."""
    rng = np.random.default_rng(0)
    sizes = [100] * 2 + [5] * 30
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    found = []
    for _ in range(400):
        of_clusters = np.repeat(rng.normal(size=len(sizes)), sizes)
        found.append(clustered_estimate(of_clusters + rng.normal(size=(3, 350)), clusters))
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.99
    assert np.mean([(one.p_value or 0) < 0.05 for one in found]) <= 0.07


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_one_cluster_tells_nothing(seeds: int) -> None:
    scores = np.random.default_rng(0).choice([0.0, 1.0], (seeds, 100), p=[0.1, 0.9])
    found = clustered_estimate(scores, np.zeros(100))
    assert (found.low, found.high, found.p_value) == (-1.0, 1.0, None if seeds == 1 else 1.0)


@pytest.mark.parametrize(
    ("clusters", "verdict"), [(2, "cannot be told at this n"), (5, "cannot be told at this n"), (6, "holds")]
)
def test_clusters_that_all_gain_alike_are_no_certainty(clusters: int, verdict: str) -> None:
    found = clustered_estimate(np.ones((2, clusters)), np.arange(clusters))
    assert found.p_value == 2.0 ** (1 - clusters)
    assert found.low == pytest.approx(2 * 0.025 ** (1 / clusters) - 1)
    assert found.verdict == verdict

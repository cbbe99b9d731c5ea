"""`cpl power`: how many questions are needed is how many tell, when models are made to differ by so much."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from infra.desk.power import assumed, benchmarks, needed, power_grid


def compared(benchmark: str, n: int, differing: float, *, has_base: bool = False) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "form": "plan",
        "metric": "answer",
        "shots": 0,
        "n": n,
        "has_base": has_base,
        "differing": differing,
    }


@pytest.mark.parametrize("comparisons", [1, 4])
@pytest.mark.parametrize(
    ("difference", "differing"), [(0.02, 0.05), (0.05, 0.15), (0.05, 0.05), (0.1, 0.1), (0.1, 0.3), (0.16, 0.16)]
)
def test_so_many_questions_tell_the_difference_in_four_of_five_tries(
    difference: float, differing: float, comparisons: int
) -> None:
    """Of n questions drawn at random, with the exact test, as the strictest of so many comparisons is judged. Few heads
    in a row have a p-value far below what is asked."""
    n = needed(difference, differing, comparisons)
    rng = np.random.default_rng(3)
    better, worse, _ = rng.multinomial(
        n, [(differing + difference) / 2, (differing - difference) / 2, 1 - differing], 20_000
    ).T
    told = 2 * binom.cdf(np.minimum(better, worse), better + worse, 0.5) < 0.05 / comparisons
    assert 0.78 <= (told & (better > worse)).mean() <= 0.88


def test_known_numbers() -> None:
    """Of 50 questions of which all that differ, differ one way, .16 are told: six heads are. Holm asks for more."""
    assert 49 <= needed(0.16, 0.16) <= 51
    assert needed(0.1, 0.05) == needed(0.1, 0.1), "as many differ as the difference is, at least"
    assert needed(0.1, 0.2) < needed(0.1, 0.2, comparisons=2) < needed(0.1, 0.2, comparisons=5)


def test_a_campaigns_own_models_say_how_much_they_differ() -> None:
    """The median of the trained ones; base, which differs from all, is asked where there is nothing else."""
    pairs = [
        *(compared("micro/test", 300, differing) for differing in (0.01, 0.04, 0.2)),
        compared("micro/test", 300, 0.6, has_base=True),
        compared("micro/longer", 50, 0.1),
    ]
    assert list(benchmarks(pairs, 0.02, 2)) == [
        {"asked": "micro/test", "n": 300, "differing": 0.04, "comparisons": 2, "needed": needed(0.02, 0.04, 2)},
        {"asked": "micro/longer", "n": 50, "differing": 0.1, "comparisons": 2, "needed": needed(0.02, 0.1, 2)},
    ]
    (alone,) = benchmarks([compared("micro/test", 300, 0.6, has_base=True)], 0.02, 2)
    assert alone["differing"] == 0.6


def test_without_a_round_the_assumptions_are_told() -> None:
    rows = list(assumed(0.06, 4))
    assert [row["differing"] for row in rows] == [0.1, 0.2, 0.4]
    header, grid = power_grid(rows)
    assert dict(zip(header, grid[0], strict=True)) == {
        "benchmark": "any",
        "asked now": "",
        "answers differ": "10.0%",
        "questions needed": str(needed(0.06, 0.1, 4)),
    }

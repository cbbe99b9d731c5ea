"""A mean over seeds and questions, and how far it may be off, where every seed was asked the same questions.

Both are drawn: another seed would train another model, another test set ask other questions. In R[s, q] (1, 0, or a
difference of two) a seed, a question and what is left of both are three sources of variance (two-way random effects):

    var(mean) = (MS_seeds + MS_questions - MS_rest) / (S Q)         MS: mean squares of the crossed layout

Questions of one cluster are right or wrong together, so MS_questions and MS_rest are of the sums of C clusters
(2411.00640, section 2.2; by the jackknife, `tasks.scoring.accuracy`), and MS_questions is never below that of questions
alone. C clusters that all gain would do so by luck in 2^(1 - C) of tries: no p-value is smaller. One tells nothing.

Satterthwaite's degrees of freedom are too many where few seeds came out alike by luck. So an interval is never narrower
than the one over seeds alone (S - 1 degrees), and a p-value never smaller. Else three seeds gave what is not there a
p-value below 0.001 up to fourteen times as often as they may (measured). The errors over seeds and over questions alone
are given beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.scoring.accuracy import Scores, jackknife

Clusters = np.ndarray[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low`, `high`: of 95 %. `p_value`: chance of a mean as far from 0, or farther, if the true one were 0.

    With one seed `stderr_seeds` and `p_value` are None, and the interval knows nothing of what another would give.
    """

    mean: float
    low: float
    high: float
    p_value: float | None
    stderr_seeds: float | None
    stderr_questions: float
    seeds: int
    questions: int

    @property
    def verdict(self) -> str:
        """Of a difference."""
        if self.low == self.high == 0:
            return "no answer differs"
        if self.p_value is None:
            return "cannot be told by one seed"
        if self.p_value >= 0.05:
            return "cannot be told at this n"
        return "holds" if self.low > 0 else "the opposite" if self.high < 0 else "cannot be told at this n"


def estimate(scores: Scores, clusters: Clusters) -> Estimate:
    """Of scores [seeds, questions], two questions at least, and the cluster of each question."""
    from scipy.stats import t  # a second that every process of a flow would wait

    seeds, questions = scores.shape
    mean = float(scores.mean())
    by_seed, by_question = scores.mean(axis=1), scores.mean(axis=0)
    _, cluster, sizes = np.unique(clusters, return_inverse=True, return_counts=True)

    def together(off: Scores) -> float:
        return jackknife(np.bincount(cluster, off).astype(np.float64), sizes)

    freedom = max(questions**2 / (sizes**2).sum() - 1, 1)  # of as many equal clusters as these are worth
    of_clusters = together(by_question - mean) / questions**2
    of_questions = max(of_clusters, by_question.var(ddof=1) / questions)
    stderr_questions = float(of_questions**0.5)
    errors = [(stderr_questions, float(freedom))]  # and their degrees of freedom
    stderr_seeds = None
    if seeds > 1:
        of_seeds = by_seed.var(ddof=1) / seeds
        rest = scores - by_seed[:, None] - by_question[None, :] + mean
        rest_of_clusters = sum(map(together, rest))
        of_rest = rest_of_clusters / ((seeds - 1) * seeds * questions**2)
        parts = np.array([of_seeds, of_questions, -of_rest])
        # an estimate of a variance may come out too small, even below 0
        variance = max(parts.sum(), parts[0], parts[1])
        spread = (parts**2 / np.array([seeds - 1, freedom, (seeds - 1) * freedom])).sum()
        degrees = variance**2 / spread if spread else float(freedom)
        stderr_seeds = float(by_seed.std(ddof=1) / seeds**0.5)
        errors = [(float(variance**0.5), degrees), (stderr_seeds, seeds - 1.0)]
    by_luck = 2.0 ** (1 - len(sizes))
    reach = max(float(t.ppf(0.975, degrees)) * error for error, degrees in errors)
    if not reach:  # all gained alike; that few would is luck in one of forty tries, where this share of clusters would
        reach = 2 * abs(mean) * (1 - 0.025 ** (1 / len(sizes)))
    p_value = max(
        by_luck,
        *(float(2 * t.sf(abs(mean) / error, degrees)) if error else float(mean == 0) for error, degrees in errors),
    )
    is_one = len(sizes) == 1
    return Estimate(
        mean,
        -1.0 if is_one else mean - reach,
        1.0 if is_one else mean + reach,
        None if seeds == 1 else p_value,
        stderr_seeds,
        stderr_questions,
        seeds,
        questions,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several differences that are judged at once: where those below 0.05 are told apart, the chance
    that any of them is not there is 5 % at most, however they depend on each other (Holm 1979)."""
    adjusted = list(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted

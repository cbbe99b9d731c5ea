"""Accuracy against tokens: what fewer samples, or another vote over them, would have answered.

Trajectories of a question are independent, so any of them are as good a sample as the first. A curve chooses orders of
them at random and looks at the first 1, 2, 4, … and all of each: no question is asked again. *adaptive* spends as many
samples in all as a vote of k: half of them on all questions, the rest, in equal shares, on those whose first samples
disagree, and fewer where the stored samples are used up (in the spirit of Adaptive-Consistency, 2305.11860, which stops
one question after the other).

A beam search is not made of independent paths: each number of beams is a search of its own, and asked.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tasks.records import frame
from tasks.scoring.accuracy import mean_of

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
ORDERS = 32
"""Of each question's trajectories."""
VOTES = ("best_of_n", "majority", "majority_by_value")
WITHOUT_VALUE = ("majority",)
"""What decides where nobody was asked for V: the others would choose as the order has it."""
QUESTION = ("model", "benchmark", "split")


class Walks(NamedTuple):
    """What is known after each further sample, [questions, orders, samples]: by decoding whether its answer is right,
    the tokens so far, and whether the samples disagree (or none has an answer)."""

    right: Mapping[str, Array]
    tokens: Array
    disagree: Array


def curves(trajectories: pl.DataFrame, *, by_value: bool) -> pl.DataFrame:
    """Rows of `evaluation_curves`, from rows of `evaluation_trajectories`: as many of each question and draw.

    `by_value`: their V is one that was asked for, so that decodings by V are told, too.
    """
    rows = (
        own.select(QUESTION).row(0, named=True) | row
        for own in trajectories.partition_by(*QUESTION)
        for row in _curves(own, VOTES if by_value else WITHOUT_VALUE)
    )
    return frame("evaluation_curves", rows)


def curves_of_beams(answers: pl.DataFrame) -> pl.DataFrame:
    """Rows of `evaluation_curves`, from rows of `evaluation_beams`."""
    rows = (
        own.select(*QUESTION, samples="beams").row(0, named=True)
        | {"decoding": "beam"}
        | _figures(own.with_columns(share="is_correct"), float(own["generated_tokens"].to_numpy().mean()))
        for own in answers.partition_by(*QUESTION, "beams")
    )
    return frame("evaluation_curves", rows)


def _curves(trajectories: pl.DataFrame, decodings: Sequence[str]) -> Iterator[dict[str, Any]]:
    asked = trajectories.partition_by("question_id", "draw")
    most = asked[0].height
    seen = pl.concat(one.select("question_id", "cluster").head(1) for one in asked)
    walks = _walks(asked, np.random.default_rng(most))
    for samples in sorted({2**power for power in range(most.bit_length())} | {most}):
        last = np.full(walks.tokens.shape[:2], samples - 1)
        for decoding in decodings:
            yield _point(decoding, samples, walks.right[decoding], walks.tokens, last, seen)
        if samples >= 4:
            yield _point("adaptive", samples, walks.right["majority"], walks.tokens, adaptive(walks, samples), seen)


def adaptive(walks: Walks, samples: int) -> Array:
    """Index of each question's last sample in each order, where questions get `samples` on average and at most."""
    questions, _, most = walks.tokens.shape
    first = samples // 2
    disagree = walks.disagree[:, :, first - 1]
    share = (samples - first) * questions // np.maximum(disagree.sum(axis=0), 1)
    return np.minimum(first + disagree * share, most) - 1


def _point(decoding: str, samples: int, right: Array, tokens: Array, last: Array, seen: pl.DataFrame) -> dict[str, Any]:
    """A row: the mean over orders, draws and questions."""
    reached, spent = (np.take_along_axis(one, last[:, :, None], axis=2).mean(axis=(1, 2)) for one in (right, tokens))
    shares = seen.with_columns(share=pl.Series(reached))
    return {"decoding": decoding, "samples": samples} | _figures(shares, float(spent.mean()))


def _figures(drawn: pl.DataFrame, generated_tokens: float) -> dict[str, Any]:
    """Of a point, from each draw's question, its cluster and its `share` of right answers."""
    questions = drawn.group_by("question_id", maintain_order=True).agg(
        pl.col("share").mean(), cluster=pl.coalesce("cluster", "question_id").first()
    )
    return mean_of(questions, questions.height) | {"generated_tokens": generated_tokens}


def _walks(questions: Sequence[pl.DataFrame], rng: np.random.Generator) -> Walks:
    most = questions[0].height
    shape = (len(questions), ORDERS, most)
    right = {decoding: np.zeros(shape, dtype=bool) for decoding in VOTES}
    tokens, disagree = np.zeros(shape), np.zeros(shape, dtype=bool)
    for place, question in enumerate(questions):
        sampled = list(question.select("vote", "is_correct", "value").iter_rows())
        for order in range(ORDERS):
            chosen = rng.permutation(most)
            tokens[place, order] = question["generated_tokens"].to_numpy()[chosen].cumsum()
            for step, (told, is_split) in enumerate(_votes([sampled[one] for one in chosen])):
                disagree[place, order, step] = is_split
                for decoding, is_right in told.items():
                    right[decoding][place, order, step] = is_right
    return Walks(right, tokens, disagree)


def _votes(sampled: Sequence[tuple[str | None, bool, float]]) -> Iterator[tuple[Mapping[str, bool], bool]]:
    """After each sample: by decoding whether its answer is right, where there is one; and whether votes are split."""
    count: dict[str, int] = defaultdict(int)
    weight: dict[str, float] = defaultdict(float)
    correct: dict[str, bool] = {}
    best: tuple[float, bool] | None = None
    for vote, is_correct, value in sampled:
        if vote is not None:
            count[vote] += 1
            weight[vote] += 1 + value
            correct[vote] = is_correct
            if best is None or value > best[0]:
                best = value, is_correct
        if best is None:
            yield {}, True
            continue
        # max takes the first of equals, as the decodings do
        right = {
            "best_of_n": best[1],
            "majority": correct[max(count, key=count.__getitem__)],
            "majority_by_value": correct[max(weight, key=weight.__getitem__)],
        }
        yield right, len(count) > 1

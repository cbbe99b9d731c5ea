"""Questions and benchmarks: loaded, validated, sampled, and kept apart."""

from collections.abc import Mapping

import polars as pl

from tasks.questions.benchmarks import domain_of, load_all, load_benchmark, source_of
from tasks.questions.overlap import ContaminatedQuestions, refuse_overlap
from tasks.questions.rows import Loaded
from tasks.questions.sampling import hold_out, sample
from tasks.questions.sources import content_of, load_questions
from tasks.questions.values import QuestionError

__all__ = [
    "ContaminatedQuestions",
    "Loaded",
    "QuestionError",
    "content_of",
    "domain_of",
    "draw",
    "hold_out",
    "load_all",
    "load_benchmark",
    "load_questions",
    "refuse_overlap",
    "sample",
    "source_of",
]


def draw(
    source: str,
    *,
    count: int,
    seed: int,
    held_out: float,
    held_out_seed: int = 0,
    columns: Mapping[str, str] | None = None,
    content: str | None = None,
    benchmarks: Mapping[str, pl.DataFrame] | None = None,
) -> Loaded:
    """The questions of a round: `count` of the source (a note says where it has fewer), part of them held out.

    `seed` draws the questions. `held_out_seed` holds some out: the same ones in every round of a campaign, so that no
    round trains on a question that another held out.

    Raises:
        QuestionError: the source cannot be read, is malformed, or holds no longer what `content_of` said (`content`).
        ContaminatedQuestions: a drawn question occurs in one of `benchmarks` (name -> its rows).
    """
    loaded = load_questions(source, count=count, seed=seed, columns=columns, content=content)
    drawn = hold_out(sample(loaded.frame, count, seed), held_out, held_out_seed)
    refuse_overlap(drawn, benchmarks or {})
    if drawn.height < count:
        return Loaded(drawn, (*loaded.notes, f"{source} has {drawn.height} questions, all are taken ({count} asked)"))
    return Loaded(drawn, loaded.notes)

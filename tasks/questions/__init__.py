"""Questions and benchmarks: loaded, validated, sampled, and kept apart."""

from collections.abc import Mapping

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
    columns: Mapping[str, str] | None = None,
    content: str | None = None,
) -> Loaded:
    """The questions of a round: `count` of the source (a note says where it has fewer), part of them held out.

    `seed` draws the questions, and has no say in which are held out: so no round of a campaign trains on a question
    that another held out.

    Raises:
        QuestionError: the source cannot be read, is malformed, or holds no longer what `content_of` said (`content`).
    """
    loaded = load_questions(source, count=count, seed=seed, columns=columns, content=content)
    drawn = hold_out(sample(loaded.frame, count, seed), held_out, seed=0)
    if drawn.height < count:
        return Loaded(drawn, (*loaded.notes, f"{source} has {drawn.height} questions, all are taken ({count} asked)"))
    return Loaded(drawn, loaded.notes)

"""The stages *benchmarks* and *questions*: what is scored in the end and what is learnt from, kept apart.

Both are read before anything costs a GPU minute, so bad input ends a round here. What a source holds is part of the
cache key (`tasks.questions.content_of`): an edited file is another source, also when it is edited meanwhile.
"""

from collections.abc import Iterable

import polars as pl

from infra.sandbox import Sandbox
from infra.store import Ref
from tasks.questions import draw, load_all, refuse_overlap
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.settings import Evaluation, Questions


@stage("benchmarks", version=9)
def load_benchmarks(
    workplace: Workplace, sources: tuple[str, ...], contents: dict[str, str], settings: Evaluation
) -> int:
    """The questions of every benchmark: table `benchmarks`, and all of their texts in `asked`, to refuse overlaps."""
    loaded = load_all(sources, contents, settings)
    _tell(workplace, loaded.notes)
    if loaded.sampled["specification"].is_not_null().any():
        Sandbox()  # refuses programs that could not run here, before anything is spent
    workplace.write("benchmarks", loaded.sampled)
    workplace.write("asked", loaded.asked)
    return loaded.sampled.height


@stage("questions", version=7)
def sample_questions(workplace: Workplace, round: int, contents: dict[str, str], settings: Questions) -> int:
    """The round's questions: table `questions`. Each round of a campaign draws with a seed of its own."""
    drawn = draw(settings, seed=settings.seed + round - 1, contents=contents)
    _tell(workplace, drawn.notes)
    workplace.write("questions", drawn.frame)
    return drawn.frame.height


class NothingToLearn(ValueError):
    """All questions are held out."""


@stage("learnable", version=1)
def refuse_without_lessons(workplace: Workplace, questions: Ref) -> int:
    """Refuses questions of which none may be learnt from; returns how many may."""
    learnable = workplace.read(questions, "questions").filter(~pl.col("is_held_out")).height
    if not learnable:
        raise NothingToLearn(f"all {questions.rows} questions are held out: ask for more (handful, questions.count)")
    return learnable


@stage("overlap", version=2)
def refuse_overlaps(workplace: Workplace, questions: Ref, benchmarks: dict[str, Ref]) -> int:
    """Refuses questions that a benchmark asks, in either form. A stage of its own: other benchmarks do not make other
    questions."""
    asked = pl.concat([workplace.read(ref, "asked") for ref in benchmarks.values()])
    by_name = asked.partition_by("benchmark", as_dict=True)
    refuse_overlap(workplace.read(questions, "questions"), {str(name): rows for (name,), rows in by_name.items()})
    return 0


def _tell(workplace: Workplace, notes: Iterable[str]) -> None:
    workplace.facts["notes"] = list(notes)
    for note in workplace.facts["notes"]:
        workplace.log.warning(note)

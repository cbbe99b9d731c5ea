"""The steps *benchmarks* and *questions*: what is asked at the end, and what is learnt from, kept apart.

Both are read before anything costs a GPU minute, so bad input ends a round here. What a source holds is part of the
cache key (`tasks.questions.content_of`): an edited file is another source, also when it is edited meanwhile.
"""

from collections.abc import Iterable

from infra.store import Ref
from tasks.questions import draw, load_all, refuse_overlap
from tasks.settings import Evaluation, Questions
from tasks.step import Stage, step


@step("benchmarks", version=4)
def load_benchmarks(stage: Stage, source: str, contents: dict[str, str], settings: Evaluation) -> int:
    """The questions of every benchmark: table `benchmarks`, and all of their texts in `asked`, to refuse overlaps."""
    loaded = load_all(source, contents, settings)
    _tell(stage, loaded.notes)
    stage.write("benchmarks", loaded.sampled)
    stage.write("asked", loaded.asked)
    return loaded.sampled.height


@step("questions", version=4)
def sample_questions(stage: Stage, round: int, content: str, settings: Questions) -> int:
    """The round's questions: table `questions`. Each round of a campaign draws with a seed of its own."""
    drawn = draw(
        settings.source,
        count=settings.count,
        seed=settings.seed + round - 1,
        held_out=settings.held_out,
        columns=settings.columns,
        content=content,
    )
    _tell(stage, drawn.notes)
    stage.write("questions", drawn.frame)
    return drawn.frame.height


@step("overlap", version=1)
def refuse_overlaps(stage: Stage, questions: Ref, benchmarks: Ref) -> int:
    """Refuses questions that a benchmark asks. A step of its own: other benchmarks do not make other questions."""
    asked = stage.read(benchmarks, "asked").partition_by("benchmark", as_dict=True)
    refuse_overlap(stage.read(questions, "questions"), {str(name): rows for (name,), rows in asked.items()})
    return 0


def _tell(stage: Stage, notes: Iterable[str]) -> None:
    stage.facts["notes"] = list(notes)
    for note in stage.facts["notes"]:
        stage.log.warning(note)

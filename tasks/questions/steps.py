"""The steps *benchmarks* and *questions*: what is asked at the end, and what is learnt from, kept apart.

Both are read before anything costs a GPU minute, so bad input ends a round here. What a source holds is part of the
cache key (`tasks.questions.content_of`): an edited file is another source.
"""

import polars as pl

from infra.store import Ref
from tasks.questions import draw, load_benchmark, refuse_overlap
from tasks.settings import Evaluation, Questions
from tasks.step import Stage, step


@step("benchmarks", version=2)
def load_benchmarks(stage: Stage, source: str, contents: dict[str, str], settings: Evaluation) -> int:
    """The questions of every benchmark: table `benchmarks`, and all of their texts in `asked`, to refuse overlaps."""
    sampled, whole = [], []
    for name in settings.benchmarks:
        rows = load_benchmark(name, count=None if _has_end(name) else settings.count, seed=settings.seed, source=source)
        domain = rows["split"][0]
        count = settings.count if domain == "in_domain" else settings.out_of_domain_count
        sampled.append(_benchmark(name, count, source, settings))
        whole.append(rows.select("question").with_columns(benchmark=pl.lit(name)))
        stage.log.info("benchmark %s (%s): %d questions", name, domain, sampled[-1].height)
    benchmarks = pl.concat(sampled)
    stage.write("benchmarks", benchmarks)
    stage.write("asked", pl.concat(whole))
    return benchmarks.height


@step("questions", version=2)
def sample_questions(stage: Stage, round: int, content: str, settings: Questions) -> int:
    """The round's questions: table `questions`. Each round of a campaign draws with a seed of its own."""
    drawn = draw(
        settings.source,
        count=settings.count,
        seed=settings.seed + round - 1,
        held_out=settings.held_out,
        columns=settings.columns,
    )
    for note in drawn.notes:
        stage.log.warning(note)
    stage.write("questions", drawn.frame)
    stage.facts["notes"] = list(drawn.notes)
    return drawn.frame.height


@step("overlap", version=1)
def refuse_overlaps(stage: Stage, questions: Ref, benchmarks: Ref) -> int:
    """Refuses questions that a benchmark asks. A step of its own: other benchmarks do not make other questions."""
    asked = stage.read(benchmarks, "asked").partition_by("benchmark", as_dict=True)
    refuse_overlap(stage.read(questions, "questions"), {str(name): rows for (name,), rows in asked.items()})
    return 0


def _has_end(benchmark: str) -> bool:
    """The micro world is generated without end; its splits share no question by construction."""
    return not benchmark.startswith("micro/")


def _benchmark(name: str, count: int, source: str, settings: Evaluation) -> pl.DataFrame:
    rows = load_benchmark(name, count=count, seed=settings.seed, source=source)
    return rows.with_columns(benchmark=pl.lit(name))

"""Benchmarks are questions, too: micro/SPLIT, gsm8k/test, math/test, mmlu/test, or any file or hub data set.

A benchmark is in the round's domain when it is a test set of one of the round's own sources, or a part of one (MATH-500
of MATH), wherever the source's rows lie: hub:openai/gsm8k is gsm8k. A file is out of domain
unless it is named in_domain:FILE.
"""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import polars as pl

from tasks.micro import world
from tasks.questions.rows import Loaded
from tasks.questions.sampling import sample
from tasks.questions.sources import BUILT_IN, PART_OF, PUBLISHED, load_questions, name_of
from tasks.questions.values import QuestionError
from tasks.settings import Evaluation

Domain = Literal["in_domain", "out_of_domain"]
_CLUSTER = pl.when(source="micro").then(pl.col("kinds").list.join(" ")).otherwise("cluster")
"""What a file says; of the micro world the chain of clauses that a question is made of: others have it with other words
and numbers."""
_MARK = "in_domain:"


def domain_of(benchmark: str, sources: Collection[str]) -> Domain:
    """Whether a benchmark asks what a round on these sources trains on."""
    name, _, split = benchmark.partition("/")
    own = {name_of(source) for source in sources}
    is_own = name in BUILT_IN and not own.isdisjoint({name, PART_OF.get(name)})
    if benchmark.startswith(_MARK) or (is_own and (name != "micro" or split in world.IN_DOMAIN)):
        return "in_domain"
    return "out_of_domain"


def source_of(benchmark: str) -> tuple[str, str]:
    """The source of a benchmark's questions, and the split."""
    place = benchmark.removeprefix(_MARK)
    name, _, split = place.partition("/")
    scored = PUBLISHED[name].scored if name in PUBLISHED else "test"
    return (name, split or scored) if name in BUILT_IN else (place, "test")


def has_end(benchmark: str) -> bool:
    """Whether it can be read whole: the micro world is generated without end; its splits share no question."""
    return source_of(benchmark)[0] != "micro"


def load_benchmark(
    benchmark: str,
    *,
    count: int | None,
    seed: int,
    sources: Collection[str],
    columns: Mapping[str, str] | None = None,
    content: str | None = None,
) -> Loaded:
    """Rows of `questions` whose `split` is in_domain or out_of_domain: a sample of `count`, or all (None).

    micro is generated without end, so it needs a count. The sample is stratified and the same for the same
    seed. `columns` and `content` are those of `load_questions`.

    Raises:
        QuestionError: the benchmark is missing; the message names it, what was tried, and the way out.
    """
    place, split = source_of(benchmark)
    try:
        if count is None and not has_end(benchmark):
            raise QuestionError("micro has no end, so say how many questions")
        loaded = load_questions(place, split=split, count=count or 0, seed=seed, columns=columns, content=content)
    except QuestionError as problem:
        raise type(problem)(f"benchmark {benchmark!r}: {problem}") from problem
    rows = loaded.frame if count is None else sample(loaded.frame, count, seed)
    notes = tuple(f"benchmark {note}" for note in loaded.notes)
    return Loaded(rows.with_columns(split=pl.lit(domain_of(benchmark, sources))), notes)


class Benchmarks(NamedTuple):
    """All benchmarks of a round: rows to score, texts of all of their questions, and notes.

    `cluster` of a row to score: what it shares with others, for they were made from one template; null: nothing.
    `specification`: of a program that is asked for; null: an answer is.
    """

    sampled: pl.DataFrame
    asked: pl.DataFrame
    notes: tuple[str, ...]


def load_all(sources: Collection[str], contents: Mapping[str, str], settings: Evaluation) -> Benchmarks:
    """The benchmarks of a round on these sources. `contents` has the `content_of` each: other content is refused.

    Raises:
        QuestionError: a benchmark is missing, malformed or changed, or columns are given for one that is not there.
    """
    if unknown := settings.columns.keys() - set(settings.benchmarks):
        raise QuestionError(f"evaluation.columns: {', '.join(sorted(unknown))} is no benchmark of this round")
    sampled, asked, notes = [], [], list[str]()
    for name in settings.benchmarks:
        count = settings.count if domain_of(name, sources) == "in_domain" else settings.out_of_domain_count
        loaded = load_benchmark(
            name,
            count=None if has_end(name) else count,
            seed=settings.seed,
            sources=sources,
            columns=settings.columns.get(name),
            content=contents[name],
        )
        named = loaded.frame.with_columns(benchmark=pl.lit(name), cluster=_CLUSTER)
        if settings.decoding != "greedy" and named["specification"].is_not_null().any():
            raise QuestionError(
                f"benchmark {name!r} asks for programs, which are greedily decoded alone, not by a vote"
            )
        sampled.append(sample(named, count, settings.seed))
        asked.append(named.select("question", "benchmark"))
        notes.extend(loaded.notes)
    return Benchmarks(pl.concat(sampled), pl.concat(asked), tuple(notes))

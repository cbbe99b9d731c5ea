"""The questions of a round: a share of each of its sources, filtered, without repeats, part of them held out."""

from collections.abc import Mapping

import polars as pl

from tasks.questions.folding import fold
from tasks.questions.rows import Loaded
from tasks.questions.sampling import hold_out, sample, shares
from tasks.questions.sources import load_questions
from tasks.questions.values import QuestionError, short
from tasks.settings import Part, Questions

ENDLESS = (1, 4, 16)
"""How many times more questions of the micro world are made until enough pass the filters."""


def draw(settings: Questions, *, seed: int, contents: Mapping[str, str] | None = None) -> Loaded:
    """`count` questions, each source with its share (a note says where one has fewer), part of them held out. In an
    order that mixes the sources.

    `seed` draws the questions, and has no say in which are held out: so no round of a campaign trains on a question
    that another held out. `contents`: by source its `content_of`.

    Raises:
        QuestionError: a source cannot be read, is malformed, holds nothing that passes its filters, or no longer what
            `content_of` said.
    """
    counts = shares([part.weight for part in settings.parts], settings.count)
    drawn, notes = list[pl.DataFrame](), list[str]()
    known: set[str] = set()
    for part, count in zip(settings.parts, counts, strict=True):
        loaded = _filtered(part, count, seed, (contents or {}).get(part.source))
        notes.extend(loaded.notes)
        rows = loaded.frame
        if len(settings.parts) > 1:
            asked = [fold(text) for text in rows["question"]]
            rows = rows.filter(pl.Series([text not in known for text in asked], dtype=pl.Boolean))
            known.update(asked)
            if repeated := len(asked) - rows.height:
                notes.append(f"{part.source}: {repeated} questions are in a source before it, too, and left out")
        if rows.height < count:
            notes.append(f"{part.source} has {rows.height} questions, all are taken ({count} asked)")
        drawn.append(sample(rows, count, seed))
    mixed = sample(pl.concat(drawn), settings.count, seed)
    return Loaded(hold_out(mixed, settings.held_out, seed=0), tuple(notes))


def _filtered(part: Part, count: int, seed: int, content: str | None) -> Loaded:
    """All questions of a source that pass its filters; of the micro world, which has no end, as many as are asked."""
    for times in ENDLESS:
        loaded = load_questions(part.source, count=count * times, seed=seed, columns=part.columns, content=content)
        rows = loaded.frame.filter(*_filters(part))
        if part.source != "micro" or rows.height >= count:
            break
    if rows.is_empty():
        kinds = ", ".join(sorted(loaded.frame["kinds"].explode().drop_nulls().unique().to_list()))
        levels = ", ".join(map(str, sorted(loaded.frame["level"].unique().to_list())))
        shortest = min(map(len, loaded.frame["question"].to_list()))
        raise QuestionError(
            f"{part.source}: none of {loaded.frame.height} questions passes the filters of its part of the mixture. "
            f"Kinds: {short(kinds or 'none')}; levels: {levels}; the shortest has {shortest} characters"
        )
    return Loaded(rows.head(count) if part.source == "micro" else rows, loaded.notes)


def _filters(part: Part) -> list[pl.Expr]:
    passes = []
    if part.kinds:
        passes.append(pl.col("kinds").list.eval(pl.element().is_in(list(part.kinds))).list.any())
    if part.levels:
        passes.append(pl.col("level").is_in(list(part.levels)))
    if part.longest:
        passes.append(pl.col("question").str.len_chars() <= part.longest)
    return passes or [pl.lit(True)]

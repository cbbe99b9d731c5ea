"""The questions of a round: a share of each of its sources, filtered, without repeats, part of them held out."""

from collections.abc import Mapping, Set

import polars as pl

from tasks.questions.folding import fold
from tasks.questions.rows import OF_ALL, Loaded
from tasks.questions.sampling import hold_out, sample, shares
from tasks.questions.sources import load_questions
from tasks.questions.values import QuestionError, short
from tasks.settings import Part, Questions

ENDLESS = (1, 4, 16)
"""How many times more questions of the micro world are made until enough pass the filters."""


def draw(settings: Questions, *, seed: int, contents: Mapping[str, str] | None = None) -> Loaded:
    """`count` questions, each source with its share (a note says where one has fewer or none), part of them held out.
    In an order that mixes the sources. Rows of `questions`, the columns of programs in one, the `specification`.

    A question that is in two sources is the first one's, whether it is drawn there or not: its id says whether it is
    held out. One that two parts of one source hold is drawn once.

    `seed` draws the questions, and has no say in which are held out: so no round of a campaign trains on a question
    that another held out. `contents`: by source its `content_of`.

    Raises:
        QuestionError: a source cannot be read, is malformed, holds nothing that passes its filters, or no longer what
            `content_of` said.
    """
    counts = shares([part.weight for part in settings.parts], settings.count)
    drawn, notes = list[pl.DataFrame](), list[str]()
    owners, taken = dict[str, str](), set[str]()  # ids: of the question that has a text, and of those that are drawn
    for part, count in zip(settings.parts, counts, strict=True):
        if not count:
            notes.append(f"{part.source}: its share of {settings.count} questions is none")
            continue
        loaded = _filtered(part, count, seed, (contents or {}).get(part.source), taken)
        notes.extend(loaded.notes)
        rows = loaded.frame
        if len(settings.parts) > 1:
            ids = rows["question_id"]
            own = [owners.setdefault(fold(text), one) == one for text, one in zip(rows["question"], ids, strict=True)]
            if repeated := own.count(False):
                notes.append(f"{part.source}: {repeated} questions are in a source before it, too, and left out")
            rows = rows.filter(pl.Series(own, dtype=pl.Boolean), ~pl.col("question_id").is_in(taken))
        if rows.height < count:
            left = " that pass its filters" * bool(_filters(part)) + " and are in no part before it" * bool(taken)
            notes.append(f"{part.source} has {rows.height} questions{left}, all are taken ({count} asked)")
        drawn.append(sample(rows, count, seed))
        taken.update(drawn[-1]["question_id"])
    mixed = sample(pl.concat(drawn), settings.count, seed)
    return Loaded(hold_out(mixed, settings.held_out, seed=0), tuple(dict.fromkeys(notes)))


def _filtered(part: Part, count: int, seed: int, content: str | None, taken: Set[str]) -> Loaded:
    """All questions of a source that pass its filters; of the micro world, which has no end, as many as are asked and
    not taken."""
    for times in ENDLESS:
        loaded = load_questions(part.source, count=count * times, seed=seed, columns=part.columns, content=content)
        rows = loaded.frame.select(*OF_ALL, "specification").filter(*_filters(part))
        if part.source != "micro":
            break
        rows = rows.filter(~pl.col("question_id").is_in(taken)).head(count)
        if rows.height == count:
            break
    found = loaded.frame.explode("kinds").select(pl.col("kinds").str.to_lowercase(), "level")
    absent = [f"of kind {kind!r}" for kind in part.kinds if kind.lower() not in found["kinds"]]
    absent += [f"of level {level}" for level in part.levels if level not in found["level"]]
    if rows.is_empty():
        kinds = ", ".join(sorted(loaded.frame["kinds"].explode().drop_nulls().unique().to_list()))
        levels = ", ".join(map(str, sorted(loaded.frame["level"].unique().to_list())))
        shortest = min(map(len, loaded.frame["question"].to_list()))
        raise QuestionError(
            f"{part.source}: none of {loaded.frame.height} questions passes the filters of its part of the mixture. "
            f"Kinds: {short(kinds or 'none')}; levels: {levels}; the shortest has {shortest} characters"
        )
    return Loaded(rows, (*loaded.notes, *(f"{part.source}: no question is {what}" for what in absent)))


def _filters(part: Part) -> list[pl.Expr]:
    """Kinds in whatever case: MATH's are "Algebra" here and "algebra" there."""
    passes = []
    if part.kinds:
        wanted = [kind.lower() for kind in part.kinds]
        passes.append(pl.col("kinds").list.eval(pl.element().str.to_lowercase().is_in(wanted)).list.any())
    if part.levels:
        passes.append(pl.col("level").is_in(list(part.levels)))
    if part.longest:
        passes.append(pl.col("question").str.len_chars() <= part.longest)
    return passes

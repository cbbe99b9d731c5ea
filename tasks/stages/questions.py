"""The stages *benchmarks* and *questions*: what is scored in the end and what is learnt from, kept apart.

Both are read before anything costs a GPU minute, so bad input ends a round here. What a source holds is part of the
cache key (`tasks.questions.content_of`): an edited file is another source, also when it is edited meanwhile.
"""

import asyncio
from collections.abc import Iterable

import polars as pl

from infra.sandbox import Sandbox
from infra.store import Ref
from infra.together import together
from tasks.check.programs import ProgramVerdict, judge, written
from tasks.questions import Loaded, QuestionError, draw, load_all, refuse_overlap
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.settings import Evaluation, Questions

MOST_TOLD = 5
"""Programs that a note names."""


@stage("benchmarks", version=15)
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


@stage("questions", version=12)
def sample_questions(workplace: Workplace, round: int, contents: dict[str, str], settings: Questions) -> int:
    """The round's questions: table `questions`. Each round of a campaign draws with a seed of its own."""
    drawn = proven(draw(settings, seed=settings.seed + round - 1, contents=contents))
    _tell(workplace, drawn.notes)
    workplace.write("questions", drawn.frame)
    return drawn.frame.height


def proven(drawn: Loaded, sandbox: Sandbox | None = None) -> Loaded:
    """Rows of `questions` with the columns of programs, if any is asked for, less those whose own program does not pass
    its tests: no search could solve them. Nor are those kept whose tests pass the function as it was begun, which does
    nothing: such tests, as those that never call it, would pass every program.

    Without programs these columns lack, as in the rounds before there were any, so that such a round's searches are
    found.

    Raises:
        NoSandbox: programs are asked for, and this machine allows no sandbox.
        QuestionError: most of the programs are not proven so.
    """
    asked = drawn.frame.drop_nulls("specification")
    if asked.is_empty():
        return drawn._replace(frame=drawn.frame.drop("specification"))
    sandbox = sandbox or Sandbox()

    async def unproven(reference: str, specification: dict[str, str]) -> str | None:
        try:
            own = await judge(written(reference, specification), sandbox)
            if own.verdict is not ProgramVerdict.PASSED:
                return f"{own.verdict}: {own.why}"
            begun = await judge(written("", specification), sandbox)
        except ValueError as problem:
            return f"{ProgramVerdict.REFUSED}: {problem}"
        return "a function that does nothing passes them, too" if begun.verdict is ProgramVerdict.PASSED else None

    async def all_judged() -> list[str | None]:
        return await together(unproven(*row) for row in asked.select("answer", "specification").iter_rows())

    why = {
        name: f"{name} ({one})"
        for name, one in zip(asked["question_id"], asyncio.run(all_judged()), strict=True)
        if one is not None
    }
    told = f"{len(why)} of {asked.height} reference programs are not proven by their own tests: " + "; ".join(
        [*why.values()][:MOST_TOLD] + ["…"] * (len(why) > MOST_TOLD)
    )
    if 2 * len(why) > asked.height:
        raise QuestionError(told)
    kept = drawn.frame.filter(~pl.col("question_id").is_in([*why])).unnest("specification")
    return Loaded(kept, (*drawn.notes, *([f"{told}; these questions are left out"] if why else [])))


class NothingToLearn(ValueError):
    """All questions are held out."""


@stage("learnable", version=2)
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

"""The sources of questions by name: micro, gsm8k, math, sets of multiple choice, any file, any hub data set."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tasks.micro import words, world
from tasks.questions import bbh, gsm8k, math_problems, mmlu
from tasks.questions.columns import map_rows
from tasks.questions.places import File, HubSet, Place, PublishedSet, Read
from tasks.questions.rows import Loaded, Mapped, Question, as_rows, slug
from tasks.questions.tables import FORMATS
from tasks.questions.values import QuestionError

LEARNT = "train"
"""The split that is learnt from, unless a set has another."""


def _by_columns(read: Read) -> Mapped:
    return map_rows(read.rows, {})


class Published(NamedTuple):
    """A set that has a name here. `hub`, `config`: where the hub has it ("*": in all configs). `questions`: how its
    rows are read. `scored`, `learnt`: the split that models are scored on, that they learn from. `folder`: of CPL_DATA,
    where that has another name."""

    hub: str
    config: str | None = None
    questions: Callable[[Read], Mapped] = _by_columns
    scored: str = "test"
    learnt: str = LEARNT
    folder: str | None = None


PUBLISHED: Mapping[str, Published] = {
    "gsm8k": Published("openai/gsm8k", "main", gsm8k.questions),
    "math500": Published("HuggingFaceH4/MATH-500", None, math_problems.questions),
    "humaneval": Published("openai/openai_humaneval", learnt="test"),
    "mbpp": Published("google-research-datasets/mbpp", "full"),
    "gpqa_diamond": Published("Idavidrein/gpqa", "gpqa_diamond", scored="train"),
    "arc_challenge": Published("allenai/ai2_arc", "ARC-Challenge"),
    "arc_easy": Published("allenai/ai2_arc", "ARC-Easy"),
    "bbh": Published("SaylorTwift/bbh", "*", bbh.questions),
    "mmlu": Published("cais/mmlu", "all", mmlu.questions),
    "mmlu_stem": Published("cais/mmlu", "all", mmlu.stem, folder="mmlu"),
    "hellaswag": Published("Rowan/hellaswag", scored="validation"),
    "boolq": Published("google/boolq", scored="validation"),
    "piqa": Published("baber/piqa", scored="validation"),
    "aqua": Published("deepmind/aqua_rat", "raw"),
}

BUILT_IN = ("micro", "math", *PUBLISHED)
"""What a benchmark may be a split of: NAME/SPLIT."""

PART_OF = {"math500": "math", "mmlu_stem": "mmlu"}
"""Sets whose questions are some of another's."""
_MATH_HUB = "EleutherAI/hendrycks_math"

WAYS = (
    f"micro, {', '.join(PUBLISHED)}, math (or math:PATH, math:hub:OWNER/NAME), hub:OWNER/NAME[/CONFIG][@SPLIT], "
    f"or a file ({', '.join('*' + one for one in FORMATS)})"
)


class Source(NamedTuple):
    """A source: its name and split in ids, where its rows lie, and how they become questions."""

    name: str
    split: str
    place: Place
    questions: Callable[[Read], Mapped]


def name_of(source: str) -> str:
    """The built-in name of the set that a source is, wherever it lies (hub:openai/gsm8k); else the source."""
    kind, _, rest = source.partition(":")
    if kind != "hub":
        return kind if kind in BUILT_IN else source
    hub, config, _ = _hub_set(rest)
    if hub == _MATH_HUB:
        return "math"
    configs = {name: one.config for name, one in PUBLISHED.items() if one.hub == hub}
    if len(set(configs.values())) > 1:
        configs = {name: one for name, one in configs.items() if one == config}
    return next(iter(configs), source)


def find(source: str, split: str | None, columns: Mapping[str, str] | None = None) -> Source | None:
    """The source of this name (see WAYS); None for micro, which lies nowhere. `split` None: what is learnt from.

    Raises:
        QuestionError: there is no such source, or it takes no columns.
    """
    kind, _, rest = source.partition(":")
    if columns and kind in BUILT_IN:
        raise QuestionError(f"columns are for files and hub data sets; {kind} knows its own")
    if source == "micro":
        return None
    split = split or (PUBLISHED[source].learnt if source in PUBLISHED else LEARNT)
    mapped = partial(_mapped, columns=columns or {})
    if source in PUBLISHED:
        one = PUBLISHED[source]
        return Source(source, split, PublishedSet(one.folder or source, split, one.hub, one.config), one.questions)
    if kind == "math":
        return Source("math", split, math_problems.find(rest, split), math_problems.questions)
    if kind == "hub" and rest:
        name, config, own_split = _hub_set(rest)
        return Source(name.rpartition("/")[2], own_split or split, HubSet(name, config, own_split or split), mapped)
    path = Path(source).expanduser()
    if not source or (not path.exists() and not source.lower().endswith(FORMATS)):
        raise QuestionError(f"unknown question source {source!r}: give {WAYS}")
    return Source(path.name.removesuffix(".gz").rsplit(".", 1)[0], split, File(path), mapped)


def load_questions(
    source: str,
    *,
    split: str | None = None,
    count: int,
    seed: int,
    columns: Mapping[str, str] | None = None,
    content: str | None = None,
) -> Loaded:
    """All questions of a source's split, validated, without duplicates. `count` and `seed` matter to micro
    only.

    Args:
        source: see WAYS.
        split: of micro, gsm8k, math, or of a hub data set whose name gives none. None: what is learnt from.
        columns: names of a file's or hub set's columns (columns.py), where they are not known.
        content: the `content_of` the source; other content is refused.

    Raises:
        QuestionError: unknown or missing source, malformed or empty file, a row without question or answer, or a
            source that was changed since `content_of` saw it.
    """
    found = find(source, split, columns)
    if found is None:
        return as_rows(_micro(split or LEARNT, count, seed), "micro", split or LEARNT)
    read = found.place.read()
    if content is not None and content != read.content:
        raise QuestionError(f"{source} was changed while it was read: start again, and what it holds now is taken")
    mapped = found.questions(read)
    return as_rows(mapped.questions, slug(found.name), found.split, mapped.notes)


def content_of(source: str, split: str | None = None) -> str:
    """What stands for the rows of a source in a cache key, so that edited data is another source.

    The digest of the file or folder that `load_questions` reads, or the commit of the hub's data set; for micro, whose
    settings determine its rows, that of what makes them. "" where the hub does not say it or nothing is found.
    """
    try:
        found = find(source, split)
    except QuestionError:
        return ""
    return found.place.content() if found else _content_of_micro()


def _content_of_micro() -> str:
    made_by = b"".join(Path(str(module.__file__)).read_bytes() for module in (words, world))
    return hashlib.sha256(made_by).hexdigest()


def _mapped(read: Read, columns: Mapping[str, str]) -> Mapped:
    return map_rows(read.rows, columns)


def _hub_set(rest: str) -> tuple[str, str | None, str]:
    """OWNER/NAME[/CONFIG][@SPLIT] -> name of the data set, config, split ("" where it names none)."""
    place, _, split = rest.partition("@")
    owner, dataset, *config = place.split("/") if "/" in place else ("", place)
    return f"{owner}/{dataset}".strip("/"), "/".join(config) or None, split


def _micro(split: str, count: int, seed: int) -> list[Question]:
    try:
        problems = world.generate(split, count, seed)
    except ValueError as problem:
        raise QuestionError(str(problem)) from problem
    return [
        Question(
            where=f"micro/{split}, question {number}",
            question=problem.question,
            answer=problem.answer,
            kinds=tuple(problem.kinds),
            level=problem.level,
            solution="\n".join(problem.solution),
            is_exact=True,
        )
        for number, problem in enumerate(problems, 1)
    ]

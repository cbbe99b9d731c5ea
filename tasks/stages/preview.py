"""The stage *preview*: what a handful of questions showed of a round, as one report (tasks.preview)."""

import json
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from infra.store import Ref
from infra.store.manifest import Manifest
from tasks.language.format import FORMATS
from tasks.preview import specimens
from tasks.preview.forecast import Estimate, Questions, Work, said, table, update_seconds, whole
from tasks.recipe import Recipe
from tasks.records import frame
from tasks.running.progress import words
from tasks.running.prompts import Prompts
from tasks.running.stage import stage
from tasks.running.workplace import Workplace

Refs = Mapping[str, Ref]


@stage("preview", version=1)
def preview(
    workplace: Workplace,
    title: str,
    method: Recipe,
    given: dict[str, Ref],
    trees: dict[str, Ref],
    paces: dict[str, Ref],
    lessons: dict[str, Ref],
    models: dict[str, Ref],
    ranked: dict[str, Ref],
    at_once: int,
    gpus: int,
    notes: list[str],
) -> int:
    """The report, `report.markdown`.

    `given`: the round's `questions`, `benchmarks`, `base` and `policy`; the `few` questions that were tried; and, with
    the policy, the `answers` to as few benchmark questions and the `pace` of answering all. `trees`, `lessons`,
    `models`, `ranked`: what came of the few, by name. `paces`: of each evidence, over all questions. `at_once`:
    trainings side by side.
    """
    questions, few = (workplace.read(given[name], "questions") for name in ("questions", "few"))
    before = [Work(name, _manifest(workplace, given[name]).seconds) for name in ("benchmarks", "questions", "base")]
    searches = [*_searches(workplace, method, trees, paces, questions)]
    trainings = [*_trainings(workplace, method, lessons, models, searches, questions, few)]
    scored = 1 + sum(method.arms[name].loss.makes_policy for name in models)
    after = [*_evaluations(workplace, given, scored), *_rankings(workplace, ranked, questions, few)]
    works = [*before, *searches, *trainings, *after]
    total = whole([*before, *searches, *after], trainings, at_once)
    lines = [
        f"# Preview of {title}\n",
        f"{few.height} of {questions.height} questions went through the stages.\n",
        *(f"> **Note:** {words(note)}\n" for note in notes),
        *_forecast(works, total, gpus, [name for name in method.arms if name not in models]),
        *_specimens(workplace, method, given["policy"], few, trees, lessons),
        "",
    ]
    workplace.add("report.markdown", "\n".join(lines).encode())
    workplace.facts |= {"forecast_seconds": [total.mean, total.error]}
    return len(works)


def _manifest(workplace: Workplace, ref: Ref) -> Manifest:
    return workplace.store.manifest(ref)


def _start(workplace: Workplace, ref: Ref) -> float:
    """Seconds that a stage took before it had the engine."""
    with_engine = max(workplace.read(ref, "engine_use")["seconds"])
    return max(_manifest(workplace, ref).seconds - with_engine, 0.0)


def _pace(workplace: Workplace, ref: Ref) -> float:
    return float(_manifest(workplace, ref).facts["tokens_per_second"])


def _searches(
    workplace: Workplace, method: Recipe, trees: Refs, paces: Refs, questions: pl.DataFrame
) -> Iterator[Work]:
    for name, ref in trees.items():
        is_asked = pl.lit(True) if method.evidence[name].held_out else ~pl.col("is_held_out")
        tokens = workplace.read(ref, "trees").group_by("question_id").agg(pl.col("generated_tokens").sum())
        kind = Questions(tokens["generated_tokens"].to_list(), questions.filter(is_asked).height)
        yield Work(name, _start(workplace, ref), [kind], _pace(workplace, paces[name]), "tokens")


def _trainings(
    workplace: Workplace,
    method: Recipe,
    lessons: Refs,
    models: Refs,
    searches: Sequence[Work],
    questions: pl.DataFrame,
    few: pl.DataFrame,
) -> Iterator[Work]:
    """A control learns for as long as the arm that it is like, and so grows with that one's lesson."""
    learnt = questions.filter(~pl.col("is_held_out")).height * _affordable(method, searches, questions)
    asked = few.filter(~pl.col("is_held_out")).select("question_id")
    for name, ref in models.items():
        manifest, arm = _manifest(workplace, ref), method.arms[name]
        source = arm if arm.like is None else method.arms[arm.like]
        rows = workplace.read(lessons[source.lesson], source.loss.learns_from).group_by("question_id").len()
        each = asked.join(rows, on="question_id", how="left")["len"].fill_null(0)
        seen = float(manifest.facts["rows_seen"])
        lines = workplace.store.fetch(ref, "progress.jsonl").read_text().splitlines()
        progress = [json.loads(line) for line in lines]
        start = max(manifest.seconds - progress[-1]["seconds"], 0.0)
        passes = seen / sum(each)
        pace = seen / update_seconds(progress)
        kind = Questions([passes * one for one in each], learnt)
        yield Work(name, start, [kind], pace, "rows", after=arm.start)


def _affordable(method: Recipe, searches: Sequence[Work], questions: pl.DataFrame) -> float:
    """The share of the questions to learn from that a budget of tokens pays for."""
    spent = sum(work.units.mean / max(sum(kind.count for kind in work.questions), 1) for work in searches)
    wanted = spent * questions.filter(~pl.col("is_held_out")).height
    return min(1.0, method.tokens / wanted) if method.tokens and wanted else 1.0


def _evaluations(workplace: Workplace, given: Refs, models: int) -> Iterator[Work]:
    """Of the policy and of each model that it becomes, taken to answer at the same length."""
    asked = workplace.read(given["benchmarks"], "benchmarks")["benchmark"].value_counts()
    answers = workplace.read(given["answers"], "evaluation_samples")
    kinds = [
        Questions(answers.filter(benchmark=benchmark)["generated_tokens"].to_list(), count * models)
        for benchmark, count in asked.iter_rows()
    ]
    start = models * _start(workplace, given["answers"])
    yield Work(f"evaluation of {models} models", start, kinds, _pace(workplace, given["pace"]), "tokens")


def _rankings(workplace: Workplace, ranked: Refs, questions: pl.DataFrame, few: pl.DataFrame) -> Iterator[Work]:
    """Taken to grow with the held-out questions, an engine's start included: they are the smallest part."""
    held_out = [frame.filter("is_held_out").height for frame in (questions, few)]
    for name, ref in ranked.items():
        yield Work(
            f"ranking by V of {name}", _manifest(workplace, ref).seconds * max(1.0, held_out[0] / max(held_out[1], 1))
        )


def _forecast(works: Sequence[Work], total: Estimate, gpus: int, unseen: Sequence[str]) -> Iterator[str]:
    hours = total * (1 / 3600)
    yield "## What the round would take\n"
    yield f"**{said(total)} seconds**, {hours.mean:.2g} hours" + (
        f", {(hours * gpus).mean:.2g} GPU hours on {gpus} GPUs." if gpus else "."
    )
    yield (
        "In brackets 95 % intervals, by which questions were drawn. They do not know how the machine's speed varies, "
        "nor that trained models may answer at another length. Trainings may run side by side: then the whole is less "
        "than the sum."
    )
    if unseen:
        yield (
            f"**Not in it:** {', '.join(unseen)}. These questions gave them nothing to learn; ask for more (`handful`)."
        )
    yield ""
    yield from table(works)
    yield ""


def _specimens(
    workplace: Workplace, method: Recipe, policy: Ref, few: pl.DataFrame, trees: Refs, lessons: Refs
) -> Iterator[str]:
    """Of one question, that of the first pair if there is one: its prompt, its tree, the pair; and a row to imitate."""
    pairs, rows = (_first(workplace, method, lessons, gives) for gives in ("preferences", "imitations"))
    grown = pl.concat([frame("trees", []), *(workplace.read(ref, "trees") for ref in trees.values())])
    wanted = pl.col("tree_id") == pairs["tree_id"] if pairs else pl.lit(True)
    largest = grown.filter(wanted).sort("nodes", descending=True).head(1).to_dicts()
    question = few.filter(question_id=largest[0]["question_id"])["question"].item() if largest else few["question"][0]
    steps = method.evaluation.steps
    prompts = Prompts.read(workplace.store.folder(policy, "model"), FORMATS[steps])
    ids = prompts.asked(prompts.question(question))
    decode = prompts.tokenizer.decode
    yield from specimens.prompt(
        decode(ids, skip_special_tokens=False),
        ids,
        [decode([one], skip_special_tokens=False) for one in ids],
        len(prompts.prefix),
    )
    for tree in largest:
        nodes = workplace.read(trees[tree["evidence"]], "nodes").filter(tree_id=tree["tree_id"]).sort("node_id")
        yield from specimens.tree(nodes.to_dicts(), question)
    if pairs:
        yield from specimens.pair(pairs)
    if rows:
        yield from specimens.imitation(rows)


def _first(workplace: Workplace, method: Recipe, lessons: Refs, gives: str) -> dict[str, object] | None:
    """The first row of the lessons that give such rows."""
    for name, rule in method.lessons.items():
        if rule.gives == gives and lessons[name].rows:
            return workplace.read(lessons[name], gives).row(0, named=True)
    return None

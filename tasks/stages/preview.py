"""The stage *preview*: what a handful of questions showed of a round, as one report (tasks.preview)."""

import json
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from infra.store import Ref
from tasks.language.format import FORMATS
from tasks.preview import specimens
from tasks.preview.forecast import Estimate, Questions, Work, said, table, update_seconds, whole
from tasks.recipe import Recipe
from tasks.records import frame
from tasks.running.lesson_rows import in_words
from tasks.running.progress import words
from tasks.running.prompts import Prompts
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.stages.pace import Pace

Refs = Mapping[str, Ref]


@stage("preview", version=3)
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
    standard: dict[str, Ref],
    sizes: dict[str, int],
    at_once: int,
    gpus: int,
    notes: list[str],
) -> int:
    """The report, `report.markdown`.

    `given`: the round's `questions`, `benchmarks`, `base` and `policy`; the `few` questions that were tried; and, with
    the policy, the `answers` to as few benchmark questions and the `pace` of answering all. `trees`, `lessons`,
    `models`, `ranked`: what came of the few, by name. `paces`: of each evidence, over all questions. `standard`: by
    benchmark of the harness, what few of its questions took; `sizes`: how many of them the round asks. `at_once`:
    trainings side by side.
    """
    questions, few = (workplace.read(given[name], "questions") for name in ("questions", "few"))
    searches = [*_searches(workplace, method, trees, paces, questions, few)]
    trainings = [*_trainings(workplace, method, lessons, models, searches, questions, few)]
    policies = sum(method.arms[name].loss.makes_policy for name in models)
    scored = policies + (given["policy"] == given["base"])
    after = [
        _evaluation(workplace, given, scored),
        *_standard(workplace, standard, sizes, scored),
        *_rankings(workplace, given, ranked, questions, few),
    ]
    total = whole([*searches, *after], trainings, at_once)
    lines = [
        f"# Preview of {title}\n",
        f"{few.height} of {questions.height} questions went through the stages.\n",
        *(f"> **Note:** {words(note)}\n" for note in notes),
        *_forecast([*searches, *trainings, *after], total, gpus, [name for name in method.arms if name not in models]),
        *_specimens(workplace, method, given["policy"], few, trees, lessons),
        "",
    ]
    workplace.add("report.markdown", "\n".join(lines).encode())
    workplace.facts["forecast_seconds"] = [total.mean, total.error]
    return len(searches) + len(trainings) + len(after)


def _seconds(workplace: Workplace, ref: Ref) -> float:
    return workplace.store.manifest(ref).seconds


def _start(workplace: Workplace, ref: Ref) -> float:
    """Seconds that a stage took before it had the engine, if it asked one."""
    with_engine = max([0.0, *workplace.read(ref, "engine_use")["seconds"]])
    return max(_seconds(workplace, ref) - with_engine, 0.0)


def _pace(workplace: Workplace, ref: Ref) -> Pace:
    facts = workplace.store.manifest(ref).facts
    return Pace(facts["tokens_per_second"], facts["filling_seconds"])


def _searches(
    workplace: Workplace, method: Recipe, trees: Refs, paces: Refs, questions: pl.DataFrame, few: pl.DataFrame
) -> Iterator[Work]:
    """Held-out questions are a kind of their own, for their budgets differ, where two of each kind were tried."""
    for name, ref in trees.items():
        tokens = workplace.read(ref, "trees").group_by("question_id").agg(units=pl.col("generated_tokens").sum())
        tried = few.join(tokens, on="question_id")
        asked = questions.filter(method.evidence[name].held_out | ~pl.col("is_held_out"))
        held = [False, True] if min(tried.filter(is_held_out=one).height for one in (False, True)) > 1 else [None]
        kinds = [
            Questions(
                (tried if one is None else tried.filter(is_held_out=one))["units"].to_list(),
                (asked if one is None else asked.filter(is_held_out=one)).height,
            )
            for one in held
        ]
        pace = _pace(workplace, paces[name])
        yield Work(name, _start(workplace, ref) + pace.filling_seconds, kinds, pace.tokens_per_second, "tokens")


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
    learnable = questions.filter(~pl.col("is_held_out")).height
    share = _affordable(method, searches, learnable)
    asked = few.filter(~pl.col("is_held_out")).select("question_id")
    for name, ref in models.items():
        manifest, arm = workplace.store.manifest(ref), method.arms[name]
        source = arm if arm.like is None else method.arms[arm.like]
        rows = workplace.read(lessons[source.lesson], source.loss.learns_from).group_by("question_id").len()
        each = asked.join(rows, on="question_id", how="left")["len"].fill_null(0).to_list()
        progress = [json.loads(line) for line in workplace.store.fetch(ref, "progress.jsonl").read_text().splitlines()]
        learning = update_seconds(progress) + manifest.facts.get("reference_seconds", 0.0)
        seen = float(manifest.facts["rows_seen"])
        yield Work(
            name,
            max(manifest.seconds - learning, 0.0),
            [Questions([seen / sum(each) * one for one in each], learnable)],
            seen / learning,
            "rows",
            times=share,
            after=arm.start,
        )


def _affordable(method: Recipe, searches: Sequence[Work], learnable: int) -> float:
    """The share of the questions to learn from that a budget of tokens pays for, all evidence of each together."""
    spent = sum(sum(work.questions[0].each) / len(work.questions[0].each) for work in searches)
    return min(1.0, method.tokens / (spent * learnable)) if method.tokens and spent else 1.0


def _evaluation(workplace: Workplace, given: Refs, models: int) -> Work:
    """Of so many models, taken to answer at the policy's length."""
    asked = workplace.read(given["benchmarks"], "benchmarks")["benchmark"].value_counts()
    answers = workplace.read(given["answers"], "evaluation_samples")
    kinds = [
        Questions(answers.filter(benchmark=benchmark)["generated_tokens"].to_list(), count)
        for benchmark, count in asked.iter_rows()
    ]
    pace = _pace(workplace, given["pace"])
    start = models * (_start(workplace, given["answers"]) + pace.filling_seconds)
    return Work(f"evaluation of {models} models", start, kinds, pace.tokens_per_second, "tokens", times=models)


def _standard(workplace: Workplace, standard: Refs, sizes: Mapping[str, int], models: int) -> Iterator[Work]:
    """Of each benchmark in its standard prompts, at the pace of the few that were asked together. Texts are told by
    their tokens. Of log-probs nothing is generated: one question takes what another does."""
    for benchmark, ref in standard.items():
        samples = workplace.read(ref, "evaluation_samples").unique("question_id", maintain_order=True)
        tokens = samples["generated_tokens"].to_list()
        each, unit = (tokens, "tokens") if any(tokens) else ([1] * len(tokens), "questions")
        with_engine = max(workplace.read(ref, "engine_use")["seconds"])
        yield Work(
            f"{benchmark} in standard prompts, {models} models",
            models * _start(workplace, ref),
            [Questions(each, sizes[benchmark])],
            sum(each) / with_engine,
            unit,
            times=models,
        )


def _rankings(
    workplace: Workplace, given: Refs, ranked: Refs, questions: pl.DataFrame, few: pl.DataFrame
) -> Iterator[Work]:
    """Taken to begin as an evaluation does, and to grow with the held-out questions."""
    of_round, tried = (frame.filter("is_held_out").height for frame in (questions, few))
    for name, ref in ranked.items():
        seconds = _seconds(workplace, ref)
        start = min(_start(workplace, given["answers"]), seconds)
        yield Work(f"ranking by {name}", start + (seconds - start) * of_round / max(tried, 1))


def _forecast(works: Sequence[Work], total: Estimate, gpus: int, unseen: Sequence[str]) -> Iterator[str]:
    hours = total * (1 / 3600)
    tokens = sum((work.units for work in works if work.unit == "tokens"), Estimate(0.0, 0.0))
    yield "## What the round would take\n"
    yield f"**{said(total)} seconds, {said(hours)} hours**, {said(tokens)} generated tokens" + (
        f", {said(hours * gpus)} GPU hours on {gpus} GPUs.\n" if gpus else ".\n"
    )
    yield (
        "In brackets intervals of about 95 %, by which questions were drawn. They do not know how the machine's speed "
        "varies, nor that trained models may answer at another length. Questions, benchmarks and the base model are "
        "prepared, and the round finds them; the tables at its end are not in it. Standard prompts go at the pace of "
        "the few, which do not fill an engine: they may take less. Trainings may run side by side: then "
        "the whole is less than the sum.\n"
    )
    if unseen:
        yield (
            f"**Not in it:** {', '.join(unseen)}. These questions gave them nothing to learn; ask for more "
            "(`handful`).\n"
        )
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
    state = prompts.question(question)
    ids = prompts.asked(state)
    decode = prompts.tokenizer.decode
    yield from specimens.prompt(
        decode(ids, skip_special_tokens=False),
        ids,
        [decode([one], skip_special_tokens=False) for one in ids],
        len(prompts.prefix_of(state)),
    )
    for tree in largest:
        nodes = workplace.read(trees[tree["evidence"]], "nodes").filter(tree_id=tree["tree_id"]).sort("node_id")
        yield from specimens.tree(nodes.to_dicts(), question)
    if pairs:
        yield from specimens.pair(pairs)
    if rows:
        yield from specimens.imitation(rows)
        if method.prompt.learnt_in == "chat":
            yield "\nIt is learnt in the chat template, behind the instruction that is shown above."


def _first(workplace: Workplace, method: Recipe, lessons: Refs, gives: str) -> dict[str, object] | None:
    """The first row of the lessons that give such rows; of paths, the first that is imitated, if one is."""
    for name, rule in method.lessons.items():
        if rule.gives == gives and lessons[name].rows:
            rows = pl.read_parquet(in_words(workplace, lessons[name]))
            return (rows.sort("weight", descending=True) if gives == "imitations" else rows).row(0, named=True)
    return None

"""The flow `cpl-preview`: a handful of a round's questions through all of its stages, before the round is paid for.

It shows one of everything that the round makes, and says from what it measured what the whole would take. Nothing is
published. The model, the questions and the benchmarks that it prepares are the round's own, which finds them done. The
models that it trains on the handful stay in the store, as those of any round do.
"""

from math import ceil
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.parameters import BY_MODEL, AnyRecipe
from flows.round import asked_for, draw, gather, prepare, teach
from infra.contract.disk import room_in
from infra.engine import tenant
from infra.environment import device, environment, gpus
from infra.store import Ref, Store
from tasks.questions import content_of, source_of
from tasks.running.progress import show_page
from tasks.running.record import RoundRun
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.running.trainer import at_once
from tasks.stages.evaluate import evaluate
from tasks.stages.harness import answer_benchmarks, sizes_of
from tasks.stages.pace import pace_of_evaluation, pace_of_search
from tasks.stages.preview import preview
from tasks.stages.questions import load_benchmarks, refuse_without_lessons
from tasks.stages.rank_values import rank_values
from tasks.stages.search_in_shards import take_shard

HANDFUL = 32


@flow(name="cpl-preview", flow_run_name="preview of {recipe}, {model}", persist_result=False)
def cpl_preview(
    campaign: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = "",
    round: Annotated[int, Field(ge=0, le=9999)] = 0,
    model: str = "micro",
    handful: Annotated[int, Field(ge=0, le=1000)] = 0,
    seconds: Annotated[float, Field(ge=1, le=3600)] = 12.0,
    recipe: AnyRecipe = BY_MODEL,
) -> Ref:
    """What a round would show and take: prompts, a tree, pairs, rows that are learnt, tokens, time and GPU hours.

    Args:
        campaign: As in a round: one whose published rounds this one would build on. Blank: named after the model.
        round: The round that would be run. 0: the campaign's first that is not published.
        model: The base model: micro, smollm2, the path of a model folder, or a hub id.
        handful: Questions that go through all stages, and of each benchmark. More of them tell more. As many at most,
            for the round's are divided into equal parts. 0: 32, and half of the questions of a smaller round. From 2 to
            1000.
        seconds: How long each search and the evaluation are timed with all questions at once. From 1 to 3600.
        recipe: As in a round: a method with its numbers, by name or with some of its fields changed.
    """
    tell_errors_in_a_sentence()
    if handful == 1:
        raise ValueError("handful: one question tells nothing of how they differ; give 2 at least")
    title, method, source = asked_for(campaign, round, model, recipe)
    run = RoundRun()
    with room_in(environment().home), tenant(environment()):
        start = prepare(title, method, source, run)
        sizes = sizes_of(method.harness)
        tried = handful or usual_handful(start.questions.rows)
        shares = parts(start.questions.rows, tried)
        few = start._replace(questions=take_shard(start.questions, 1, shares)) if shares > 1 else start
        refuse_without_lessons(few.questions)
        trees = gather(method, run, few)
        when = str(flow_run.id)
        paces = {
            name: pace_of_search(
                start.questions, start.policy, name, how, start.value if how.by_value else None, seconds, when
            )
            for name, how in method.evidence.items()
        }
        lessons = draw(method.model_copy(update={"tokens": 0}), run, few, trees)
        models = teach(method, run, lessons, start.base, start.policy, start.value)

        contents = {name: content_of(*source_of(name)) for name in method.evaluation.benchmarks}
        asked = method.evaluation
        fewer = asked.model_copy(
            update={
                "count": min(tried, asked.count),
                "out_of_domain_count": min(tried, asked.out_of_domain_count),
            }
        )
        benchmarks = load_benchmarks(method.questions.sources, contents, fewer)
        value = models.next_value if method.evaluation.by_value else None
        pace = pace_of_evaluation(start.policy, start.benchmarks, asked, value, seconds, when)
        answers = evaluate(start.policy, "base" if start.policy == start.base else "policy", benchmarks, fewer, value)
        standard = {
            one: answer_benchmarks(
                start.policy,
                "base" if start.policy == start.base else "policy",
                {one: start.standard[one]},
                method.questions.sources,
                method.harness.model_copy(update={"benchmarks": (one,), "count": min(tried, size)}),
            )
            for one, size in sizes.items()
        }
        held_out = {name: trees[name] for name, how in method.evidence.items() if how.held_out}
        ranked = {
            name: rank_values(models.made[name], name, held_out, method.evaluation.steps)
            for name in filter(method.ranks, models.made if held_out else ())
        }
        given = {"questions": start.questions, "benchmarks": start.benchmarks, "base": start.base}
        found = preview(
            f"{title.recipe}, {title.model}",
            method,
            {**given, "policy": start.policy, "few": few.questions, "answers": answers, "pace": pace},
            trees,
            paces,
            lessons,
            {name: made for name, made in models.made.items() if name in method.arms},
            ranked,
            standard,
            sizes,
            at_once=at_once(start.base),
            gpus=len(gpus()) if device() == "cuda" else 0,
            notes=run.notes,
        )
    report = Store.open(environment()).fetch(found, "report.markdown").read_text()
    show_page(key="result", text=report, description=f"What {title.recipe} with {title.model} would take")
    return found


def usual_handful(questions: int) -> int:
    """How many of a round's questions are tried: of few at most half, for to try all of them is to run the round."""
    return min(HANDFUL, max(2, questions // 2))


def parts(questions: int, tried: int) -> int:
    """Into how many equal parts the round's questions are divided, the first of which is tried: `tried` at most, and of
    a round's half no more."""
    return 1 if tried >= questions else ceil(questions / tried)

"""The flow `cpl-evaluate`: any model on any benchmarks, without a round."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from prefect import flow
from pydantic import Field

from infra.contract.disk import room_in
from infra.contract.training import Loss
from infra.engine import refuse_without_value_engine, tenant
from infra.environment import environment
from infra.store import Ref, Store, rounds
from tasks.questions import content_of, source_of
from tasks.running.progress import show_page
from tasks.running.report import scores
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.settings import Evaluation, Harness, Standard
from tasks.stages.evaluate import evaluate
from tasks.stages.harness import answer_benchmarks, contents_of
from tasks.stages.model import ModelNotFound, locate, prepare_model
from tasks.stages.questions import load_benchmarks

GIVEN = {"benchmarks", "count", "out_of_domain_count"}
"""Fields of an evaluation that the flow's own parameters say."""
EVERY = 1_000_000
"""Questions of a benchmark in the plan form where all are asked: no set has more."""


@flow(name="cpl-evaluate", flow_run_name="evaluation of {model}", persist_result=False)
def cpl_evaluate(
    model: str = "micro",
    standard: list[Standard] = [],  # Prefect draws it in the form, and nobody changes it
    plan: list[str] = [],
    count: Annotated[int, Field(ge=0)] = 100,
    shots: Annotated[int, Field(ge=0)] | None = None,
    how: dict[str, Any] = {},
) -> list[Ref]:
    """Scores of a model. A killed run goes on where it stopped, and what was asked before is found again.

    Args:
        model: micro, smollm2, the path of a model folder, a hub id, or a round's model: CAMPAIGN/ROUND/NAME.
        standard: Benchmarks as the lm-evaluation-harness asks them, e.g. gsm8k, arc_challenge, mmlu_stem, humaneval.
        plan: Benchmarks in the text format that training uses, e.g. gsm8k/test, bbh, humaneval, a file.
        count: Questions of each at most. 0: all.
        shots: Worked examples in the standard prompts. Blank: as many as the harness shows.
        how: How the plan form is asked: fields of a recipe's evaluation, e.g. {"decoding": "majority", "samples": 16}.
            A decoding by V asks the round's value model.
    """
    tell_errors_in_a_sentence()
    harness = Harness(benchmarks=tuple(standard), count=count, shots=shots)
    asked = asked_in_plan(plan, count, how)
    contents = contents_of(harness)
    in_plan = {name: content_of(*source_of(name)) for name in asked.benchmarks}
    with room_in(environment().home), tenant(environment()):
        policy, value = _of_round(model) or (prepare_model(*locate(model)), None)
        guide = value if asked.by_value else None
        if guide:
            refuse_without_value_engine(environment())
        elif asked.by_value and not knows_value(Store.open(environment()), policy):
            raise ValueError(
                f"how.decoding: {asked.decoding} chooses by V, and {model} was never taught one; ask a model of a "
                "round (CAMPAIGN/ROUND/NAME) with a value model, which then guides it, or decode by majority"
            )
        made = [answer_benchmarks(policy, "model", contents, (), harness)] if standard else []
        if plan:
            made.append(evaluate(policy, "model", load_benchmarks((), in_plan, asked), asked, guide))
    store = Store.open(environment())

    def rows(refs: list[Ref], table: str) -> list[dict[str, Any]]:
        return [row for ref in refs for row in pl.read_parquet(store.fetch(ref, f"{table}.parquet")).to_dicts()]

    if made:
        curves = rows(made[-1:], "evaluation_curves") if plan and asked.draws_curve else []
        show_page("result", scores(model, rows(made, "evaluations"), curves), f"Scores of {model}")
    return made


def asked_in_plan(plan: Sequence[str], count: int, how: Mapping[str, Any]) -> Evaluation:
    """The plan form's evaluation. Raises ValueError for what `how` may not say."""
    if how and not plan:
        raise ValueError("how: it says how the plan form is asked, and no benchmark is asked in it (plan)")
    fields = Evaluation.model_fields.keys() - GIVEN
    if unknown := sorted(how.keys() - fields):
        raise ValueError(f"how.{unknown[0]}: no field that can be given here; these can: {', '.join(sorted(fields))}")
    return Evaluation(benchmarks=tuple(plan), count=count or EVERY, out_of_domain_count=count or EVERY, **how)


def knows_value(store: Store, model: Ref) -> bool:
    """Whether V was trained into a model, or into one that it was trained from."""
    made = store.manifest(model)
    if made.stage != "learn":
        return False
    loss = Loss.model_validate(made.config["training"]["loss"])
    return loss.needs_values or knows_value(store, made.inputs["start"])


def _of_round(name: str) -> tuple[Ref, Ref | None] | None:
    """The model CAMPAIGN/ROUND/NAME of a published round, and the value model that the next round would search with;
    None where the name has another form, or is a folder's.

    Raises:
        ModelNotFound: that round has no such model.
    """
    match name.split("/"):
        case [campaign, round, of_round] if round.isdecimal() and not Path(name).is_dir():
            store = Store.open(environment())
            published = store.manifest(rounds.published(store, campaign, int(round)).manifest)
            stages = rounds.stages_of(published)
            models = [one for one, ref in stages.items() if ref.counts.get("updates") is not None or one == "base"]
            if of_round not in models:
                raise ModelNotFound(
                    f"round {round} of {campaign} has no model {of_round!r}: it has {', '.join(models)}"
                )
            return stages[of_round], published.inputs.get("value")
    return None

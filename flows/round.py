"""The flow `cpl`: one round of Critical Plan Step Learning (arXiv 2409.08642; methods.md 1), start to publication."""

from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.parameters import (
    ControlForm,
    EvaluationForm,
    PairsForm,
    QuestionsForm,
    Recipe,
    RolloutsForm,
    SearchForm,
    SftForm,
    StepApoForm,
    StepDpoForm,
    ValueForm,
    configure,
    default_recipe,
)
from infra.store import Ref
from tasks.evaluate import evaluate, rank_values
from tasks.model import locate, prepare_model
from tasks.pairs import make_pairs
from tasks.publish import (
    Title,
    build_warehouse,
    facts,
    library_of,
    point_to,
    policy_of,
    publish,
    published_round,
    value_of,
)
from tasks.questions import content_of, source_of
from tasks.questions.steps import load_benchmarks, refuse_overlaps, sample_questions
from tasks.record import recorded
from tasks.rollouts import roll_out
from tasks.search_plans import search_plans
from tasks.settings import Arm
from tasks.shards import search_in_shards
from tasks.train import continue_sft, train_sft, train_step_apo, train_step_dpo, train_value


def _run_name() -> str:
    return "{campaign}-round-{round}".format(**flow_run.parameters)


@flow(name="cpl", flow_run_name=_run_name, persist_result=True, result_serializer="json")
def cpl(
    campaign: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Rounds of one campaign build on each other.")
    ] = "demo",
    round: Annotated[
        int, Field(ge=1, le=9999, description="Round 1 starts from the base model, a later one from the round before.")
    ] = 1,
    model: Annotated[
        str, Field(description="Base model: micro, smollm2, a model folder, or a hub id (deepseek-ai/…).")
    ] = "micro",
    recipe: Annotated[
        Recipe | None, Field(description="A file of flows/recipes/. Blank: the one for the model (else cpl).")
    ] = None,
    shards: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Machines that search at once, one engine each: runs of cpl-search/shard on its work pool.",
        ),
    ] = 1,
    questions: QuestionsForm = QuestionsForm(),
    rollouts: RolloutsForm = RolloutsForm(),
    search: SearchForm = SearchForm(),
    pairs: PairsForm = PairsForm(),
    sft: SftForm = SftForm(),
    value: ValueForm = ValueForm(),
    arms: Annotated[
        list[Arm] | None, Field(description="Second stages to train from SFT. Blank: the recipe's.")
    ] = None,
    step_apo: StepApoForm = StepApoForm(),
    step_dpo: StepDpoForm = StepDpoForm(),
    control: ControlForm = ControlForm(),
    evaluation: EvaluationForm = EvaluationForm(),
) -> Ref:
    """One round: search over plans, learn from their steps, score what was learnt, publish it.

    Every step is cached by what it depends on. Retry a failed run and it goes on where it stopped; run it again
    unchanged and it ends in seconds; change a setting and only what depends on it is done again.
    """
    recipe_name = str(recipe or default_recipe(model))
    config = configure(
        recipe_name,
        questions=questions,
        rollouts=rollouts,
        search=search,
        pairs=pairs,
        sft=sft,
        value=value,
        arms=arms,
        step_apo=step_apo,
        step_dpo=step_dpo,
        control=control,
        evaluation=evaluation,
    )
    with recorded(campaign, round) as (stages, notes):
        previous = published_round(campaign, round - 1) if round > 1 else None
        source = config.questions.source
        contents = {name: content_of(*source_of(name)) for name in config.evaluation.benchmarks}
        stages["benchmarks"] = load_benchmarks(source, contents, config.evaluation)
        stages["questions"] = sample_questions(round, content_of(source), config.questions)
        refuse_overlaps(stages["questions"], stages["benchmarks"])
        notes.extend(facts(stages["questions"])["notes"])
        stages["model"] = base = prepare_model(*locate(model))
        policy = policy_of(previous) if previous else base
        judge = value_of(previous) if previous else None

        stages["rollouts"] = roll_out(stages["questions"], policy, config.rollouts)
        library = library_of(previous) if previous and config.search.library else None
        searched = (stages["questions"], stages["rollouts"], policy, config.search, library, judge)
        stages["search"] = search_plans(*searched) if shards == 1 else search_in_shards(*searched, shards)
        stages["pairs"] = make_pairs(stages["rollouts"], stages["search"], policy, config.pairs)

        models = {"base": base}
        learnt = facts(stages["pairs"])
        pairs_found = learnt["plan_pairs"] + learnt["solution_pairs"]
        own_value = config.value.separate
        if not own_value:
            judge = None
        elif learnt["value_targets"]:
            judge = stages["value"] = train_value(base, stages["pairs"], config.value)
        if learnt["policy_paths"]:
            imitation = config.sft.model_copy(update={"value_weight": 0.0}) if own_value else config.sft
            models["sft"] = policy = stages["sft"] = train_sft(base, stages["pairs"], imitation)
        else:
            notes.append("No right path was found: there is nothing to imitate, and the policy stays what it was.")
        if not pairs_found:
            notes.append("No preference pair was found: no sibling steps with opposite values, so nothing to prefer.")
        start, start_name = policy, "sft" if "sft" in models else "the policy that searched"
        if pairs_found and "step_apo" in config.arms:
            models["step_apo"] = policy = stages["step_apo"] = train_step_apo(start, stages["pairs"], config.step_apo)
        if pairs_found and "step_dpo" in config.arms:
            without_margin = config.step_apo.model_copy(update={"learning_rate": config.step_dpo.learning_rate})
            models["step_dpo"] = stages["step_dpo"] = train_step_dpo(start, stages["pairs"], without_margin)
        if pairs_found and "sft" in models and "sft_more" in config.arms:
            epochs = 2 * pairs_found * config.step_apo.epochs / learnt["policy_paths"]
            models["sft_more"] = stages["sft_more"] = continue_sft(start, stages["pairs"], epochs, config.control)

        by_value = judge if config.evaluation.decoding != "greedy" else None
        for name, trained in models.items():
            if name != "base" and facts(trained)["unchanged"]:
                same = "base" if name == "sft" else start_name
                notes.append(f"{name}: training changed no weight: same as {same}, and not evaluated again.")
            else:
                stages[f"evaluate_{name}"] = evaluate(trained, name, stages["benchmarks"], config.evaluation, by_value)
        for name in ("value",) if own_value else ("sft", "step_apo"):
            if name in stages:
                stages[f"rank_values_{name}"] = rank_values(stages[name], name, stages["search"])

        title = Title(campaign=campaign, round=round, recipe=recipe_name, model=model)
        stages["warehouse"] = build_warehouse(title, config, dict(stages), previous)
        published = publish(title, dict(stages), policy, previous, notes, judge)
        point_to(campaign, round, published)
    return published

"""The flow `cpl`: one round of Critical Plan Step Learning (arXiv 2409.08642; methods.md 1), start to publication."""

from typing import Annotated, Any, NamedTuple

from prefect import flow
from pydantic import Field

from flows.parameters import BY_MODEL, Changes, Recipe, Round, configure, recipe_for
from infra.environment import environment
from infra.store import Ref, Store
from tasks.pages.report import show_result
from tasks.questions import content_of, source_of
from tasks.running.opening import open_round
from tasks.running.record import recorded
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.settings import Arm
from tasks.stages.evaluate import evaluate
from tasks.stages.model import locate, prepare_model
from tasks.stages.pairs import make_pairs
from tasks.stages.publish import (
    build_warehouse,
    facts,
    library_of,
    point_to,
    policy_of,
    publish,
    round_before,
    start_of,
    value_of,
)
from tasks.stages.questions import load_benchmarks, refuse_overlaps, sample_questions
from tasks.stages.rank_values import rank_values
from tasks.stages.rollouts import roll_out
from tasks.stages.search import search_plans
from tasks.stages.search_in_shards import search_in_shards
from tasks.stages.train import continue_sft, train_sft, train_step_apo, train_step_dpo, train_value


@flow(name="cpl", persist_result=False)
def cpl(
    campaign: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = "",
    round: Annotated[int, Field(ge=0, le=9999)] = 0,
    model: str = "micro",
    recipe: Recipe = BY_MODEL,
    arms: list[Arm] = [],
    repeat: Annotated[int, Field(ge=0)] = 0,
    shards: Annotated[int, Field(ge=1, le=100)] = 1,
    questions: Annotated[dict[str, Any], Changes("questions")] = {},
    rollouts: Annotated[dict[str, Any], Changes("rollouts")] = {},
    search: Annotated[dict[str, Any], Changes("search")] = {},
    pairs: Annotated[dict[str, Any], Changes("pairs")] = {},
    sft: Annotated[dict[str, Any], Changes("sft")] = {},
    value: Annotated[dict[str, Any], Changes("value")] = {},
    step_apo: Annotated[dict[str, Any], Changes("step_apo")] = {},
    step_dpo: Annotated[dict[str, Any], Changes("step_dpo")] = {},
    control: Annotated[dict[str, Any], Changes("control")] = {},
    evaluation: Annotated[dict[str, Any], Changes("evaluation")] = {},
) -> Ref:
    """One round: search over plans, learn from their steps, score what was learnt, publish it.

    Every step is cached by what it depends on. Retry a failed run and it goes on where it stopped; run it again
    unchanged and it ends in seconds; change a setting and only what depends on it is done again.

    Args:
        campaign: Rounds of one campaign build on each other and share their base model. Lower-case letters, digits and
            hyphens. Blank: named after the model.
        round: Round 1 starts from the base model, a later one from what the round before published. 0: the campaign's
            first round that is not published, so that a schedule moves the campaign on.
        model: The base model: micro, smollm2, the path of a model folder, or a hub id (deepseek-ai/…).
        recipe: A file of flows/recipes/, whose settings hold where this form is blank. By model: cpl-micro for micro,
            cpl-smollm2 for smollm2, cpl for any other.
        arms: What is trained from the SFT model: step_apo, the same pairs without margin (step_dpo), and the control
            (sft_more), which learns from as many sequences as Step-APO. Empty: the recipe's.
        repeat: Another number draws the round again: the same questions, other samples. At least 0.
        shards: Machines that search at once, one engine each: runs of cpl-search/shard on its work pool. From 1 to 100.
    """
    tell_errors_in_a_sentence()
    recipe_name = recipe_for(recipe, model)
    config = configure(
        recipe_name,
        arms,
        repeat,
        questions=questions,
        rollouts=rollouts,
        search=search,
        pairs=pairs,
        sft=sft,
        value=value,
        step_apo=step_apo,
        step_dpo=step_dpo,
        control=control,
        evaluation=evaluation,
    )
    source = config.questions.source
    base_source = locate(model)
    title = open_round(
        Store.open(environment()),
        campaign,
        round,
        recipe=recipe_name,
        model=model,
        base=base_source.digest,
        source=source,
        usual=recipe_name == recipe_for(BY_MODEL, model) and source == configure(recipe_name).questions.source,
    )
    with recorded(title) as (stages, notes):
        previous = round_before(title)
        contents = {name: content_of(*source_of(name)) for name in config.evaluation.benchmarks}
        stages["benchmarks"] = load_benchmarks(source, contents, config.evaluation)
        stages["questions"] = sample_questions(title.round, content_of(source), config.questions)
        refuse_overlaps(stages["questions"], stages["benchmarks"])
        stages["model"] = base = prepare_model(*base_source)
        policy = policy_of(previous) if previous else base
        judge = value_of(previous) if previous else None

        stages["rollouts"] = roll_out(stages["questions"], policy, config.rollouts)
        library = library_of(previous) if previous and config.search.library else None
        searched = (stages["questions"], stages["rollouts"], policy, config.search, library, judge)
        stages["search"] = search_plans(*searched) if shards == 1 else search_in_shards(*searched, shards)
        stages["pairs"] = make_pairs(stages["rollouts"], stages["search"], policy, config.pairs)

        models, policy, value_model = learn(config, stages, base, policy, judge, notes)

        by_value = value_model if config.evaluation.decoding != "greedy" else None
        for name, trained in models.items():
            if name != "base" and facts(trained)["unchanged"]:
                same = next((one for one in models if models[one] == start_of(trained)), "the round before's policy")
                notes.append(f"{name}: training changed no weight. It is the same as {same}, and is not scored again.")
            else:
                stages[f"evaluate_{name}"] = evaluate(trained, name, stages["benchmarks"], config.evaluation, by_value)
        for name in ("value",) if config.value.separate else ("sft", "step_apo"):
            if name in stages:
                stages[f"rank_values_{name}"] = rank_values(stages[name], name, stages["search"])

        notes.extend(note for stage in stages.values() for note in facts(stage).get("notes", ()))
        stages["warehouse"] = build_warehouse(title, config, dict(stages), previous)
        published = publish(title, dict(stages), policy, previous, notes, value_model)
        point_to(title, published)
    show_result(title)
    return published


class Trained(NamedTuple):
    """`models`: those to score, in order. `policy` and `value`: what the next round searches with."""

    models: dict[str, Ref]
    policy: Ref
    value: Ref | None


def learn(
    config: Round, stages: dict[str, Ref], base: Ref, policy: Ref, judge: Ref | None, notes: list[str]
) -> Trained:
    """What the pairs teach.

    SFT and the value start from the base model, the arms from SFT. Without a right path the policy stays what it was,
    and without a value target its judge does.
    """
    pairs, models = stages["pairs"], {"base": base}
    learnt = facts(pairs)
    pairs_found = learnt["plan_pairs"] + learnt["solution_pairs"]
    value_model = judge if config.value.separate else None
    if config.value.separate and learnt["value_targets"]:
        value_model = stages["value"] = train_value(base, pairs, config.value)
    if learnt["policy_paths"]:
        imitation = config.sft.model_copy(update={"value_weight": 0.0}) if config.value.separate else config.sft
        models["sft"] = policy = stages["sft"] = train_sft(base, pairs, imitation)
    else:
        notes.append("No right path was found: there is nothing to imitate, and the policy stays what it was.")
    if not pairs_found:
        notes.append("No preference pair was found: no sibling steps with opposite values, so nothing to prefer.")
        return Trained(models, policy, value_model)
    if "sft" in models and "sft_more" in config.arms:
        epochs = 2 * pairs_found * config.step_apo.epochs / learnt["policy_paths"]  # a pair is two sequences
        models["sft_more"] = stages["sft_more"] = continue_sft(policy, pairs, epochs, config.control)
    if "step_dpo" in config.arms:
        no_margin = config.step_apo.model_copy(update={"alpha": 0.0, "learning_rate": config.step_dpo.learning_rate})
        models["step_dpo"] = stages["step_dpo"] = train_step_dpo(policy, pairs, no_margin)
    if "step_apo" in config.arms:
        models["step_apo"] = stages["step_apo"] = train_step_apo(policy, pairs, config.step_apo)
    return Trained(models, models.get("step_apo", policy), value_model)

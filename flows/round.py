"""The flow `cpl`: one round of Critical Plan Step Learning (arXiv 2409.08642; methods.md 1), start to publication."""

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.parameters import BY_MODEL, Changes, Recipe, configure, recipe_for
from infra.settings import settings as environment
from infra.store import Ref, Store
from tasks.evaluate import evaluate, rank_values
from tasks.model import locate, prepare_model
from tasks.opening import open_round
from tasks.pairs import make_pairs
from tasks.publish import build_warehouse, facts, library_of, point_to, policy_of, publish, round_before
from tasks.questions import content_of, source_of
from tasks.questions.steps import load_benchmarks, refuse_overlaps, sample_questions
from tasks.record import recorded
from tasks.rollouts import roll_out
from tasks.search_plans import search_plans
from tasks.sentence import tell_errors_in_a_sentence
from tasks.shards import search_in_shards
from tasks.train import continue_sft, train_sft, train_step_apo


@flow(name="cpl", persist_result=False)
def cpl(
    campaign: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = "",
    round: Annotated[int, Field(ge=0, le=9999)] = 0,
    model: str = "micro",
    recipe: Recipe = BY_MODEL,
    shards: Annotated[int, Field(ge=1, le=100)] = 1,
    questions: Annotated[dict[str, Any], Changes("questions")] = {},
    rollouts: Annotated[dict[str, Any], Changes("rollouts")] = {},
    search: Annotated[dict[str, Any], Changes("search")] = {},
    pairs: Annotated[dict[str, Any], Changes("pairs")] = {},
    sft: Annotated[dict[str, Any], Changes("sft")] = {},
    step_apo: Annotated[dict[str, Any], Changes("step_apo")] = {},
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
        shards: Machines that search at once, one engine each: runs of cpl-search/shard on its work pool. From 1 to 100.
    """
    tell_errors_in_a_sentence()
    recipe_name = recipe_for(recipe, model)
    config = configure(
        recipe_name,
        questions=questions,
        rollouts=rollouts,
        search=search,
        pairs=pairs,
        sft=sft,
        step_apo=step_apo,
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
        notes.extend(facts(stages["questions"])["notes"])
        stages["model"] = base = prepare_model(*base_source)
        policy = policy_of(previous) if previous else base

        stages["rollouts"] = roll_out(stages["questions"], policy, config.rollouts)
        library = library_of(previous) if previous and config.search.library else None
        searched = (stages["questions"], stages["rollouts"], policy, config.search, library)
        stages["search"] = search_plans(*searched) if shards == 1 else search_in_shards(*searched, shards)
        stages["pairs"] = make_pairs(stages["rollouts"], stages["search"], policy, config.pairs)

        models = {"base": base}
        learnt = facts(stages["pairs"])
        if not learnt["policy_paths"]:
            notes.append("No right path was found: there is nothing to imitate, and SFT can train the value alone.")
        if learnt["policy_paths"] or (learnt["value_targets"] and config.sft.value_weight):
            models["sft"] = policy = stages["sft"] = train_sft(base, stages["pairs"], config.sft)
        if learnt["plan_pairs"] + learnt["solution_pairs"]:
            models["step_apo"] = stages["step_apo"] = train_step_apo(policy, stages["pairs"], config.step_apo)
            if "sft" in models:
                updates = facts(models["step_apo"])["updates"]
                models["sft_more"] = stages["sft_more"] = continue_sft(
                    models["sft"], stages["pairs"], updates, config.sft
                )
            policy = models["step_apo"]
        else:
            notes.append("No preference pair was found: no sibling steps with opposite values, so no Step-APO model.")

        for name, trained in models.items():
            stages[f"evaluate_{name}"] = evaluate(trained, name, stages["benchmarks"], config.evaluation)
            if name in ("sft", "step_apo"):
                stages[f"rank_values_{name}"] = rank_values(trained, name, stages["search"])

        stages["warehouse"] = build_warehouse(title, config, dict(stages), previous)
        published = publish(title, dict(stages), policy, previous, notes)
        point_to(title, published)
    return published

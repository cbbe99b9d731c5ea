"""The flow `cpl-study`: methods x seeds from one base under one budget of tokens, compared (flows/studies/)."""

import re
from collections.abc import Iterator
from functools import reduce
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
from prefect import flow
from prefect.logging import get_run_logger

from flows.parameters import Choice, chosen
from flows.round import cpl
from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref, Store, rounds
from tasks.recipe import Recipe
from tasks.recipe_file import RecipeRefused, merged, there
from tasks.running.progress import Progress, show_page
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.stages.model import ModelNotFound, locate
from tasks.stages.study import compare
from tasks.study import MOST_ROUNDS, TUNING, Changes, Study, StudyRefused

STUDIES = Path(__file__).parent / "studies"
NAMES = [path.stem for path in sorted(STUDIES.glob("*.toml"))]


@flow(name="cpl-study", persist_result=False)
def cpl_study(study: str = NAMES[0]) -> Ref:
    """Tunes every arm by as many tries on the validation split, then makes all rounds and compares their models.

    Rounds that are published already are found, so a study that was killed goes on where it stopped. A round that fails
    is told in the report, and the others go on.

    Args:
        study: A file of flows/studies/ by its name, or the path of one: base model, seeds, budget of tokens, methods,
            and what papers say of them. Its rounds are campaigns study-NAME-METHOD-SEED.
    """
    tell_errors_in_a_sentence()
    path = file_of(study)
    study, plan = path.stem, Study.read(path)
    if wrong := [*faults(plan)]:
        raise StudyRefused.of(path, dict.fromkeys(wrong))
    log = get_run_logger()
    recipes = {
        name: [of_seed(plan, name, TUNING, round=number).read(number) for number in range(1, method.rounds + 1)]
        for name, method in plan.methods.items()
    }
    tries, places = {name: len([*trials(plan, name)]) for name in plan.methods}, [*plan.places()]
    progress = Progress(log, "Rounds", total=sum(tries.values()) + len(places), every=0.0)
    become = "made"
    best: dict[str, Changes] = {}
    tried: dict[str, dict[str, list[float]]] = {}
    made: dict[str, Ref] = {}
    with tenant(environment()):  # else the engine would start anew for every round
        for done, name in zip(accumulate(tries.values(), initial=0), tries, strict=False):
            if tries[name]:
                progress.show(done, f"{become}, next {name} is tuned")
            try:
                best[name], tried[name] = tuned(study, plan, name)
            except Exception as problem:
                become = "made or failed"
                log.error("%s was not tuned, and no round of it is made: %s", name, problem)
        for done, place in enumerate(places, start=sum(tries.values())):
            name, seed, number = place.split("/")
            if name not in best:
                continue
            if int(number) > 1 and (before := f"{name}/{seed}/{int(number) - 1}") not in made:
                # an earlier run may have published that: what is compared would start from a round that is not in it
                log.error("%s was not made: it starts from %s", place, before)
                continue
            progress.show(done, f"{become}, next {place}")
            try:
                made[place] = run_round(f"study-{study}-{name}-{seed}", int(number), plan, name, int(seed), best[name])
            except Exception as problem:
                become = "made or failed"
                log.error("%s was not made: %s", place, problem)
    progress.show(progress.total, become)
    if not made:
        raise StudyRefused(f"{path.name}: no round was made; the log says why of each")
    found = compare(study, plan, recipes, made, tried)
    report = Store.open(environment()).fetch(found, "report.markdown").read_text()
    log.info("%s", report)
    show_page(key="result", text=report, description=f"Study {study}")
    return found


def file_of(study: str) -> Path:
    """The file of a study.

    Raises:
        StudyRefused: there is none, with those that there are; or its name is none of a campaign.
    """
    path = Path(study) if study.endswith(".toml") else STUDIES / f"{study}.toml"
    if not path.is_file():
        raise StudyRefused(
            f"there is no study {study!r}; there are {', '.join(NAMES)}, or give the path of a .toml file"
        )
    if not re.fullmatch("[a-z0-9-]+", path.stem):
        raise StudyRefused(f"{path.name}: campaigns bear its name: use lower-case letters, digits and hyphens alone")
    return path


def faults(plan: Study) -> Iterator[str]:
    """What would be found out when hours are spent, behind the dotted name of its field: the recipes of all rounds and
    trials are read, and the models that claims speak of are looked for in them."""
    try:
        locate(plan.model)
    except ModelNotFound as problem:
        yield f"model: {problem}"
    recipes: dict[str, list[Recipe]] = {}
    for name, method in plan.methods.items():
        seed, made = plan.seeds_of(name)[0], list[Recipe]()
        for number in range(1, method.rounds + 1):
            field = next((f"from_round.{n}" for n in sorted(method.from_round, reverse=True) if n <= number), "changes")
            try:
                made.append(of_seed(plan, name, seed, round=number).read(number))
            except LookupError as problem:
                yield f"methods.{name}.recipe: {problem}"
                break
            except RecipeRefused as problem:
                yield f"methods.{name}.{field}: {problem}"
                break
            if found := [f"methods.{name}.{fault}" for fault in _faults_of(plan, name, seed, made[-1], field)]:
                yield from found
                break
        recipes[name] = made
    for at, model in plan.claimed():
        made = recipes[model.method]
        if len(made) == plan.methods[model.method].rounds:
            scored = policies(made[(model.round or len(made)) - 1])
            if model.arm not in scored:
                yield f"{at}: {model.method} scores no model {model.arm!r}{there(scored)}"


def _faults_of(plan: Study, name: str, seed: int, recipe: Recipe, field: str) -> Iterator[str]:
    """Of a method's round; `field`: of the method, which says what is other in it."""
    parts = [*recipe.evidence.values(), *recipe.lessons.values(), *recipe.arms.values()]
    seeds = {vars(part).get("seed", seed) for part in parts}
    if (recipe.questions.seed, seeds | {seed}) != (seed * MOST_ROUNDS, {seed}):
        yield f"{field}: a seed is given, and the seeds are the study's (seeds)"
    if recipe.tokens != plan.tokens:
        yield f"{field}: tokens are given, and the budget is the study's (tokens)"
    method = plan.methods[name]
    if method.tune and plan.validation in recipe.evaluation.benchmarks:
        yield f"tune: {plan.validation} is the validation split, and models are compared on it: evaluation.benchmarks"
    _, *trained = policies(recipe)
    if absent := [arm for arm in method.arms if arm not in trained]:
        yield f"tune: no arm {absent[0]!r} is scored{there(trained)}"
        return
    for _, settings, others in trials(plan, name):
        try:
            of_seed(plan, name, TUNING, {**settings, **others}).read()
        except RecipeRefused as problem:
            yield f"tune.{next(iter(settings))}: {problem}"


def policies(recipe: Recipe) -> list[str]:
    """The models that a round scores, if there is something to learn."""
    return ["base", *(name for name, arm in recipe.arms.items() if arm.loss.makes_policy)]


def trials(plan: Study, name: str) -> Iterator[tuple[str, Changes, Changes]]:
    """Of a method: a name, the settings that are tried, and what else is other meanwhile. Arms that stand on as many
    others are tried together, those that stand on more are left out. They answer greedily, and else as the study or the
    recipe says: of methods that differ in their answering alone the models are the same."""
    method, recipe = plan.methods[name], of_seed(plan, name, TUNING).read()
    depths = {field: depth_of(recipe, arm) for field, arm in zip(method.tune, method.arms, strict=True)}
    usual = chosen(method.recipe, plan.model).plain().evaluation
    own = [field for field in method.changes if field.startswith("evaluation.")]
    answering = {field: plan.changes.get(field, getattr(usual, field.split(".")[1])) for field in own}
    for depth in sorted({*depths.values()}):
        fields = [field for field in depths if depths[field] == depth]
        later = [arm for arm in recipe.arms if depth_of(recipe, arm) > depth]
        others: Changes = {
            "without": [*recipe.without, *later],
            **answering,
            "evaluation.benchmarks": [plan.validation],
            "evaluation.decoding": "greedy",
        }
        for number in range(len(method.tune[fields[0]])):
            yield f"{depth}-{number}", {field: method.tune[field][number] for field in fields}, others


def tuned(study: str, plan: Study, name: str) -> tuple[Changes, dict[str, list[float]]]:
    """The best of what is tried of every tuned field, and the accuracies. Arms that start from others are tuned after
    these, from the best of them."""
    tune = plan.methods[name].tune
    best: dict[str, Any] = {}
    tried: dict[str, list[float]] = {field: [] for field in tune}
    for place, settings, others in trials(plan, name):
        round = run_round(f"study-{study}-{name}-tune-{place}", 1, plan, name, TUNING, {**best, **settings, **others})
        for field in settings:
            tried[field].append(accuracy(round, field.split(".")[1]))
            best[field] = tune[field][tried[field].index(max(tried[field]))]
    return best, tried


def depth_of(recipe: Recipe, arm: str) -> int:
    """How many trained arms an arm stands on."""
    start = recipe.arms[arm].start
    return 1 + depth_of(recipe, start) if start in recipe.arms else 0


def accuracy(round: Ref, model: str) -> float:
    """Of a model, in the one benchmark that its round was scored on; of one that is no policy or changed no weight 0.0:
    it is chosen last."""
    store = Store.open(environment())
    stage = rounds.stages_of(store.manifest(round)).get(f"evaluate_{model}")
    if stage is None:
        return 0.0
    answers = pl.read_parquet(store.fetch(stage, "evaluation_samples.parquet"), columns=["is_correct"])
    return int(answers["is_correct"].sum()) / int(answers["is_correct"].count())


def run_round(campaign: str, number: int, plan: Study, name: str, seed: int, changes: Changes) -> Ref:
    wanted = of_seed(plan, name, seed, changes, round=number)
    return cpl.with_options(flow_run_name=f"{campaign}-round-{number}")(
        campaign=campaign,
        round=number,
        model=plan.model,
        repeat=seed,
        recipe={wanted.name: dict(wanted.changes)},
    )


def of_seed(plan: Study, name: str, seed: int, changes: Changes = MappingProxyType({}), *, round: int = 1) -> Choice:
    """A method's recipe in a round, where everything that is drawn is drawn by this seed, but for the questions that it
    is tried on. A round draws by its number, too: no round of a seed has the questions of another seed's."""
    method = plan.methods[name]
    recipe = chosen(method.recipe, plan.model).plain()
    drawn = {
        f"{group}.{part}.seed": seed
        for group in ("evidence", "lessons", "arms")
        for part, settings in getattr(recipe, group).items()
        if "seed" in type(settings).model_fields
    }
    fields = {
        "tokens": plan.tokens,
        "questions.seed": seed * MOST_ROUNDS,
        **drawn,
        **plan.changes,
        **method.changes_in(round),
        **changes,
    }
    whole: dict[str, Any] = {}
    for field, value in fields.items():
        whole = merged(whole, nested(field, value))
    return chosen({method.recipe: whole}, plan.model)


def nested(field: str, value: Any) -> dict[str, Any]:
    """("a.b", 1) as {"a": {"b": 1}}."""
    return reduce(lambda inner, part: {part: inner}, reversed(field.split(".")), value)

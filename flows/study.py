"""The flow `cpl-study`: methods x seeds from one base under one budget of tokens, compared (flows/studies/)."""

from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
from prefect import flow
from prefect.logging import get_run_logger

from flows.parameters import Choice, chosen
from flows.round import cpl
from infra.environment import environment
from infra.store import Ref, Store, rounds
from tasks.recipe import Recipe
from tasks.recipe_file import merged
from tasks.running.progress import show_page
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.stages.compare import compare
from tasks.study import MOST_ROUNDS, TUNING, Changes, Study

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
    log = get_run_logger()
    recipes = {name: of_seed(plan, name, TUNING).read() for name in plan.methods}  # told before anything is spent
    best: dict[str, Changes] = {}
    tried: dict[str, dict[str, list[float]]] = {}
    for name in plan.methods:
        best[name], tried[name] = tuned(study, plan, name)
    made: dict[str, Ref] = {}
    for place in plan.places():
        name, seed, number = place.split("/")
        try:
            made[place] = run_round(f"study-{study}-{name}-{seed}", int(number), plan, name, int(seed), best[name])
        except Exception as problem:
            log.error("%s was not made: %s", place, problem)
    found = compare(study, plan, recipes, made, tried)
    report = Store.open(environment()).fetch(found, "report.markdown").read_text()
    log.info("%s", report)
    show_page(key="result", text=report, description=f"Study {study}")
    return found


def file_of(study: str) -> Path:
    """The file of a study.

    Raises:
        LookupError: with those that there are.
    """
    path = Path(study) if study.endswith(".toml") else STUDIES / f"{study}.toml"
    if not path.is_file():
        raise LookupError(
            f"there is no study {study!r}; there are {', '.join(NAMES)}, or give the path of a .toml file"
        )
    return path


def tuned(study: str, plan: Study, name: str) -> tuple[Changes, dict[str, list[float]]]:
    """The best of what is tried of every tuned field, and the accuracies. Arms that start from others are tuned after
    these, from the best of them."""
    method, recipe = plan.methods[name], of_seed(plan, name, TUNING).read()
    best: dict[str, Any] = {}
    tried: dict[str, list[float]] = {field: [] for field in method.tune}
    arm_of = dict(zip(method.tune, method.arms, strict=True))
    for depth in sorted({depth_of(recipe, arm) for arm in method.arms}):
        fields = [field for field, arm in arm_of.items() if depth_of(recipe, arm) == depth]
        later = [arm for arm in recipe.arms if depth_of(recipe, arm) > depth]
        for trial in range(len(method.tune[fields[0]])):
            changes = best | {field: method.tune[field][trial] for field in fields}
            changes |= {"without": [*recipe.without, *later], "evaluation.benchmarks": [plan.validation]}
            round = run_round(f"study-{study}-{name}-tune-{depth}-{trial}", 1, plan, name, TUNING, changes)
            for field in fields:
                tried[field].append(accuracy(round, arm_of[field]))
        best |= {field: method.tune[field][tried[field].index(max(tried[field]))] for field in fields}
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
    wanted = of_seed(plan, name, seed, changes)
    return cpl(
        campaign=campaign,
        round=number,
        model=plan.model,
        repeat=seed,
        recipe={wanted.name: dict(wanted.changes)},
    )


def of_seed(plan: Study, name: str, seed: int, changes: Changes = MappingProxyType({})) -> Choice:
    """A method's recipe where everything that is drawn is drawn by this seed, but for the questions that it is tried
    on. A round draws by its number, too: no round of a seed has the questions of another seed's."""
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
        **method.changes,
        **changes,
    }
    whole: dict[str, Any] = {}
    for field, value in fields.items():
        whole = merged(whole, nested(field, value))
    return chosen({method.recipe: whole}, plan.model)


def nested(field: str, value: Any) -> dict[str, Any]:
    """("a.b", 1) as {"a": {"b": 1}}."""
    return reduce(lambda inner, part: {part: inner}, reversed(field.split(".")), value)

"""The stage *study*: what the rounds of a study say: tables `answers`, `scores` and `claims`, and a report."""

from collections.abc import Mapping

import polars as pl

from infra.store import Ref, rounds
from tasks.language.format import Kind
from tasks.recipe import Recipe
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.comparison import CLAIMS, SCORES, SPLITS, accuracies_of, claims_of
from tasks.scoring.study_report import RANKED, Tried, report
from tasks.study import Study


@stage("study", version=8)
def compare(
    workplace: Workplace, name: str, study: Study, recipes: dict[str, list[Recipe]], made: dict[str, Ref], tried: Tried
) -> int:
    """`recipes`: by method those of its rounds. `made`: the published rounds by their places, in their order; one that
    failed is not there, and the report says so."""
    answers, idle = _answers(workplace, study, recipes, made)
    answered = pl.concat(answers)
    models = answered["model"].unique(maintain_order=True)
    scores = [row for model in models for row in accuracies_of(answered, model)]
    claims = claims_of(answered, study)
    workplace.write("answers", answered)
    workplace.write("scores", pl.DataFrame(scores, schema=SCORES))
    workplace.write("claims", pl.DataFrame(claims, schema=CLAIMS))
    spent = {place: _spent(workplace, round) for place, round in made.items()}
    learnt = pl.concat([_learnt(workplace, study, *one) for one in made.items()])
    ranked = pl.concat([_ranked(workplace, study, *one) for one in made.items()])
    asked = {part: answered.filter(split=part)["benchmark"].unique(maintain_order=True).to_list() for part in SPLITS}
    origin = _origin(workplace, made)
    lines = report(name, study, origin, asked, scores, claims, spent, tried, idle, learnt, ranked)
    workplace.add("report.markdown", "\n".join(lines).encode())
    return len(scores)


def _origin(workplace: Workplace, made: Mapping[str, Ref]) -> str:
    """When and by which code the rounds were made: those that are found again may be older than what compares them."""
    manifests = [workplace.store.manifest(round) for round in made.values()]
    days = sorted({f"{one.created_at:%Y-%m-%d}" for one in manifests})
    codes = sorted({one.code for one in manifests})
    told = " to ".join(dict.fromkeys((days[0], days[-1])))
    return f"Rounds of {told} by code {', '.join(codes)}; compared by code {workplace.code}."


def _answers(
    workplace: Workplace, study: Study, recipes: Mapping[str, list[Recipe]], made: Mapping[str, Ref]
) -> tuple[list[pl.DataFrame], dict[str, list[str]]]:
    """Of each round one row a model and test question; and the arms that learnt nothing."""
    answers: list[pl.DataFrame] = []
    idle: dict[str, list[str]] = {}
    searched: dict[tuple[str, str], pl.DataFrame] = {}
    for place, round in made.items():
        method, seed, number = place.split("/")
        recipe = recipes[method][int(number) - 1]
        stages = rounds.stages_of(workplace.store.manifest(round))
        own = pl.concat(
            [workplace.read(ref, "evaluation_samples") for name, ref in stages.items() if name.startswith("evaluate_")]
        )
        found, idle[place] = of_round(own, searched.get((method, seed)), recipe)
        if recipe.next.policy:
            searched[method, seed] = found.filter(model=recipe.next.policy[0])
        answers.append(
            found.select(
                model=_names(study, place),
                seed=pl.lit(int(seed)),
                split="split",
                benchmark="benchmark",
                question_id="question_id",
                cluster=pl.coalesce("cluster", "question_id"),
                is_correct="is_correct",
                generated_tokens="generated_tokens",
            )
        )
    return answers, idle


def _names(study: Study, place: str) -> pl.Expr:
    """A study's names for the models of a round, column `model`."""
    method, _, number = place.split("/")
    suffix = f"@{number}" if study.methods[method].rounds > 1 else ""
    return pl.format("{}.{}{}", pl.lit(method), pl.col("model"), pl.lit(suffix))


def of_round(own: pl.DataFrame, searched: pl.DataFrame | None, recipe: Recipe) -> tuple[pl.DataFrame, list[str]]:
    """The answers of all policies of a round, and the arms that learnt nothing in it: these are what they started from.

    Were they left out, an arm's mean would be of the seeds alone in which it found something to learn. `own`: of the
    policies that were scored, by their names in the round. `searched`: of the policy that searched; None: of the base.
    """
    of_model = {str(name): rows for (name,), rows in own.partition_by("model", as_dict=True).items()}
    policy = own.filter(model="base") if searched is None else searched
    idle = [name for name, arm in recipe.arms.items() if arm.loss.makes_policy and name not in of_model]
    for name in idle:
        of_model[name] = of_model.get(recipe.arms[name].start, policy).with_columns(model=pl.lit(name))
    return pl.concat(of_model.values()), idle


def _spent(workplace: Workplace, round: Ref) -> int:
    """The tokens that a round learnt from."""
    stages = rounds.stages_of(workplace.store.manifest(round)).values()
    return max((ref.counts["tokens"] for ref in stages if "tokens" in ref.counts), default=0)


def _learnt(workplace: Workplace, study: Study, place: str, round: Ref) -> pl.DataFrame:
    """How much each model of a round was trained: updates of its training."""
    stages = rounds.stages_of(workplace.store.manifest(round))
    rows = [(name, ref.counts["updates"]) for name, ref in stages.items() if "updates" in ref.counts]
    schema = pl.Schema({"model": pl.String(), "updates": pl.Int64()})
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(model=_names(study, place))


def _ranked(workplace: Workplace, study: Study, place: str, round: Ref) -> pl.DataFrame:
    """How each V of a round ranked siblings of held-out trees, where there were pairs of them."""
    stages = rounds.stages_of(workplace.store.manifest(round))
    tables = [workplace.read(ref, "value_rankings") for name, ref in stages.items() if name.startswith("rank_values_")]
    schema = pl.Schema({"model": pl.String(), **RANKED})
    whole = pl.concat([pl.DataFrame(schema=schema), *(table.select(*schema.names()).cast(schema) for table in tables)])
    return whole.filter(pl.col("sibling_pairs") > 0, pl.col("kind") != Kind.SOLUTION).with_columns(
        model=_names(study, place)
    )

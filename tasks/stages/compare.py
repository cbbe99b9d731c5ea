"""The stage *study*: what the rounds of a study say: tables `answers`, `scores` and `claims`, and a report."""

from collections.abc import Mapping

import polars as pl

from infra.store import Ref, rounds
from tasks.recipe import Recipe
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.comparison import CLAIMS, SCORES, Tried, accuracies_of, report, told_of
from tasks.study import Study


@stage("study", version=4)
def compare(
    workplace: Workplace, name: str, study: Study, recipes: dict[str, Recipe], made: dict[str, Ref], tried: Tried
) -> int:
    """`recipes`: by method. `made`: the published rounds by their places, in their order; one that failed is not there,
    and the report says so."""
    answers, idle = _answers(workplace, study, recipes, made)
    answered = pl.concat(answers)
    models = answered["model"].unique(maintain_order=True)
    scores = [row for model in models for row in accuracies_of(answered, model)]
    claims = [row for claim in study.claims for row in told_of(answered, study, claim)]
    workplace.write("answers", answered)
    workplace.write("scores", pl.DataFrame(scores, schema=SCORES))
    workplace.write("claims", pl.DataFrame(claims, schema=CLAIMS))
    spent = {place: _spent(workplace, round) for place, round in made.items()}
    lines = report(name, study, scores, claims, spent, tried, idle, workplace.code)
    workplace.add("report.markdown", "\n".join(lines).encode())
    return len(scores)


def _answers(
    workplace: Workplace, study: Study, recipes: Mapping[str, Recipe], made: Mapping[str, Ref]
) -> tuple[list[pl.DataFrame], dict[str, list[str]]]:
    """Of each round one row a model and test question; and the arms that learnt nothing."""
    answers: list[pl.DataFrame] = []
    idle: dict[str, list[str]] = {}
    before: pl.DataFrame | None = None
    for place, round in made.items():
        method, seed, number = place.split("/")
        stages = rounds.stages_of(workplace.store.manifest(round))
        own = pl.concat(
            [workplace.read(ref, "evaluation_samples") for name, ref in stages.items() if name.startswith("evaluate_")]
        )
        before, idle[place] = of_round(own, before if number != "1" else None, recipes[method])
        suffix = f"@{number}" if study.methods[method].rounds > 1 else ""
        answers.append(
            before.select(
                model=pl.format("{}.{}{}", pl.lit(method), pl.col("model"), pl.lit(suffix)),
                seed=pl.lit(int(seed)),
                split="split",
                benchmark="benchmark",
                question_id="question_id",
                is_correct="is_correct",
                generated_tokens="generated_tokens",
            )
        )
    return answers, idle


def of_round(own: pl.DataFrame, before: pl.DataFrame | None, recipe: Recipe) -> tuple[pl.DataFrame, list[str]]:
    """The answers of all policies of a round, and the arms that learnt nothing in it: these are what they started from.

    Were they left out, an arm's mean would be of the seeds alone in which it found something to learn. `own`: of the
    policies that were scored, by their names in the round. `before`: what this gave of the round before.
    """
    of_model = {str(name): rows for (name,), rows in own.partition_by("model", as_dict=True).items()}
    searched = recipe.next.policy[0] if before is not None and recipe.next.policy else "base"
    policy = (own if before is None else before).filter(model=searched)
    idle = [name for name, arm in recipe.arms.items() if arm.loss.makes_policy and name not in of_model]
    for name in idle:
        of_model[name] = of_model.get(recipe.arms[name].start, policy).with_columns(model=pl.lit(name))
    return pl.concat(of_model.values()), idle


def _spent(workplace: Workplace, round: Ref) -> int:
    """The tokens that a round learnt from."""
    stages = rounds.stages_of(workplace.store.manifest(round)).values()
    return max((ref.counts["tokens"] for ref in stages if "tokens" in ref.counts), default=0)

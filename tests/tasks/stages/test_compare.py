"""The stage *study*: whose answers count where an arm learnt nothing."""

import polars as pl

from tasks.recipe import Recipe
from tasks.stages.compare import of_round

IMITATES = {"lesson": "paths", "learning_rate": 1e-4, "batch_size": 4}
RECIPE = Recipe.model_validate(
    {
        "evidence": {"trees": {}},
        "lessons": {
            "paths": {"rule": "right_paths", "evidence": ["trees"]},
            "pairs": {"rule": "siblings", "evidence": ["trees"]},
        },
        "arms": {
            "value": IMITATES | {"loss": {"value": 1.0}},
            "sft": IMITATES | {"loss": {"nll": 1.0}},
            "step_apo": IMITATES | {"start": "sft", "lesson": "pairs", "loss": {"prefer": 1.0}},
        },
        "next": {"policy": ["step_apo", "sft"]},
    }
)


def samples(**of_model: bool) -> pl.DataFrame:
    return pl.DataFrame({"model": [*of_model], "is_correct": [*of_model.values()]})


def test_an_arm_that_learnt_nothing_counts_as_what_it_started_from() -> None:
    """Else its mean would be of the seeds alone in which it learnt something."""
    first, idle = of_round(samples(base=False, sft=True), None, RECIPE)
    assert idle == ["step_apo"], "a value model is no policy, and is not missed"
    assert dict(first.iter_rows()) == {"base": False, "sft": True, "step_apo": True}
    lost, idle = of_round(samples(base=False), None, RECIPE)
    assert (idle, dict(lost.iter_rows())) == (["sft", "step_apo"], dict.fromkeys(("base", "sft", "step_apo"), False))
    sft = RECIPE.arms["sft"].model_copy(update={"start": "policy"})
    goes_on = RECIPE.model_copy(update={"arms": RECIPE.arms | {"sft": sft}})
    again, idle = of_round(samples(base=False), first, goes_on)
    assert (idle, dict(again.iter_rows())) == (["sft", "step_apo"], {"base": False, "sft": True, "step_apo": True})
    learnt, idle = of_round(samples(base=False, sft=False, step_apo=True), first, goes_on)
    assert (idle, dict(learnt.iter_rows())) == ([], {"base": False, "sft": False, "step_apo": True})

"""What a study makes of its file: rounds of every seed, and settings that the validation split chose."""

from collections.abc import Mapping
from typing import Any

import pytest

import flows.study
from flows.study import NAMES, STUDIES, depth_of, of_seed, tuned
from infra.store import Ref
from tasks.study import MOST_ROUNDS, TUNING, Changes, Claim, Method, Study, split

PLAN = Study(
    model="micro",
    tokens=5000,
    seeds=(1, 2),
    validation="micro/validation",
    changes={"questions.count": 50},
    methods={
        "cpl": Method(
            recipe="cpl-micro",
            rounds=2,
            changes={"evidence.trees.simulations": 7},
            tune={
                "arms.sft.learning_rate": (1e-4, 2e-4, 4e-4),
                "arms.step_dpo.learning_rate": (1e-5, 2e-5, 4e-5),
                "arms.step_apo.learning_rate": (1e-5, 2e-5, 4e-5),
            },
        ),
        "rft": Method(recipe="rft-micro", seeds=(3,)),
    },
)


def test_every_seed_draws_all_anew_but_the_questions_that_models_are_tried_on() -> None:
    one, two = (of_seed(PLAN, "cpl", seed).read() for seed in (1, 2))
    assert (one.tokens, one.questions.count, one.evidence["trees"].simulations) == (5000, 50, 7)
    assert one.evaluation == two.evaluation
    drawn = [
        *((vars(one.lessons[name])["seed"], vars(two.lessons[name])["seed"]) for name in ("paths",)),
        *((one.evidence[name].seed, two.evidence[name].seed) for name in one.evidence),
        *((one.arms[name].seed, two.arms[name].seed) for name in one.arms),
    ]
    assert set(drawn) == {(1, 2)}


def test_no_round_of_a_seed_draws_the_questions_of_another_seed() -> None:
    """Round n draws by the recipe's seed + n - 1; seeds that share questions would not be independent."""
    drawn = [
        of_seed(PLAN, "cpl", seed).read(round=number).questions.seed + number - 1
        for seed in (1, 2, 3, TUNING)
        for number in range(1, MOST_ROUNDS + 1)
    ]
    assert len({*drawn}) == len(drawn)


def test_what_a_recipe_leaves_out_is_left_out_where_it_is_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the method that is tuned searches, and pays for, what the one that is compared does not."""
    tune = {"arms.sft.learning_rate": (1e-4, 2e-4), "arms.instance_dpo.learning_rate": (1e-5, 2e-5)}
    plan = PLAN.model_copy(update={"methods": {"dpo": Method(recipe="instance-dpo-micro", tune=tune)}})
    whole = of_seed(plan, "dpo", TUNING).read()
    made: list[tuple[set[str], set[str]]] = []

    def run_round(campaign: str, number: int, plan: Study, name: str, seed: int, changes: Changes) -> Ref:
        recipe = of_seed(plan, name, seed, changes).read()
        made.append(({*recipe.evidence}, {*recipe.arms}))
        return Ref(uri="s3://cpl/a/manifest.json", sha256="0" * 64, rows=0)

    monkeypatch.setattr(flows.study, "run_round", run_round)
    monkeypatch.setattr(flows.study, "accuracy", lambda round, arm: 0.5)
    tuned("mine", plan, "dpo")
    assert "tries" not in whole.evidence
    assert made == [({*whole.evidence}, {"sft"})] * 2 + [({*whole.evidence}, {*whole.arms})] * 2


def test_all_rounds_of_a_seed_follow_each_other() -> None:
    assert [*PLAN.places()] == ["cpl/1/1", "cpl/1/2", "cpl/2/1", "cpl/2/2", "rft/3/1"]


def test_what_starts_from_another_arm_is_tuned_after_it_from_its_best(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[str, Any]] = []
    best = {"sft": 2e-4, "step_dpo": 4e-5, "step_apo": 1e-5}

    def run_round(campaign: str, number: int, plan: Study, name: str, seed: int, changes: Changes) -> Ref:
        assert seed == TUNING
        assert of_seed(plan, name, seed, changes).read().evaluation.benchmarks == ("micro/validation",)
        asked.append(changes)
        return Ref(uri=f"s3://cpl/{campaign}/manifest.json", sha256=f"{len(asked):064}", rows=0)

    def accuracy(round: Ref, arm: str) -> float:
        rate: float = asked[int(round.sha256) - 1][f"arms.{arm}.learning_rate"]
        return 1.0 - abs(rate - best[arm])

    monkeypatch.setattr(flows.study, "run_round", run_round)
    monkeypatch.setattr(flows.study, "accuracy", accuracy)
    chosen, tried = tuned("mine", PLAN, "cpl")
    assert chosen == {f"arms.{arm}.learning_rate": rate for arm, rate in best.items()}
    assert {field: len(found) for field, found in tried.items()} == dict.fromkeys(chosen, 3)
    assert len(asked) == 6, "arms that stand beside each other are tried together"
    assert all("step_apo" in changes["without"] for changes in asked[:3]), "nothing is trained that nobody looks at"
    assert [changes["arms.sft.learning_rate"] for changes in asked[3:]] == [2e-4] * 3


@pytest.mark.parametrize("name", NAMES)
def test_the_studies_that_are_there_can_be_run(name: str) -> None:
    plan = Study.read(STUDIES / f"{name}.toml")
    for method, about in plan.methods.items():
        recipe = of_seed(plan, method, plan.seeds[0]).read()
        assert all(arm in recipe.arms and depth_of(recipe, arm) >= 0 for arm in about.arms)
        assert TUNING not in plan.seeds_of(method)
    for claim in plan.claims:
        assert isinstance(claim, Claim)
        for model in (claim.better, claim.worse):
            of, arm, _ = split(model)
            assert arm in {"base", *of_seed(plan, of, plan.seeds[0]).read().arms}, model

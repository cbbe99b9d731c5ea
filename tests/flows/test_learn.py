"""What a round trains, from what, on what settings; and what the next round searches with."""

import hashlib
from typing import Any

import pytest

import flows.round
from flows.parameters import Round, configure
from flows.round import Trained, learn
from infra.store import Ref


def ref(name: str) -> Ref:
    return Ref(uri=f"s3://cpl/{name}/manifest.json", sha256=hashlib.sha256(name.encode()).hexdigest(), rows=0)


BASE, PAIRS, BEFORE, JUDGE = ref("base"), ref("pairs"), ref("policy of the last round"), ref("value of the last round")
FOUND = {"plan_pairs": 50, "solution_pairs": 10, "policy_paths": 40, "value_targets": 300}


class Factory:
    """Trains nothing, and notes what each trainer was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **found: int) -> None:
        self.given: dict[str, tuple[Any, ...]] = {}
        self.notes: list[str] = []
        self.stages = {"pairs": PAIRS}
        monkeypatch.setattr(flows.round, "facts", lambda pairs: FOUND | found)
        for step, name in {
            "train_sft": "sft",
            "train_value": "value",
            "continue_sft": "sft_more",
            "train_step_dpo": "step_dpo",
            "train_step_apo": "step_apo",
        }.items():
            monkeypatch.setattr(flows.round, step, self.trainer(name))

    def trainer(self, name: str) -> Any:
        def train(start: Ref, pairs: Ref, *settings: Any) -> Ref:
            assert pairs == PAIRS
            self.given[name] = (start, *settings)
            return ref(name)

        return train

    def learn(self, config: Round, judge: Ref | None = JUDGE) -> Trained:
        return learn(config, self.stages, BASE, BEFORE, judge, self.notes)


CONFIG = configure("cpl-micro", step_dpo={"learning_rate": 3e-5})


def test_policy_and_value_start_from_the_base_and_every_arm_from_sft(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = Factory(monkeypatch)
    learnt = factory.learn(CONFIG)
    assert list(learnt.models) == ["base", "sft", "sft_more", "step_dpo", "step_apo"]
    assert {name: given[0] for name, given in factory.given.items()} == {
        "sft": BASE,
        "value": BASE,
        "sft_more": ref("sft"),
        "step_dpo": ref("sft"),
        "step_apo": ref("sft"),
    }
    assert (learnt.policy, learnt.value) == (ref("step_apo"), ref("value"))
    assert factory.stages == {"pairs": PAIRS} | {name: ref(name) for name in factory.given}
    assert factory.notes == []


def test_the_arms_differ_in_what_they_compare_and_in_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair is two sequences: the control learns from as many of them as Step-APO."""
    factory = Factory(monkeypatch)
    factory.learn(CONFIG)
    _, epochs, control = factory.given["sft_more"]
    assert epochs * FOUND["policy_paths"] == 2 * (50 + 10) * CONFIG.step_apo.epochs
    assert control == CONFIG.control
    assert control.batch_size == 2 * CONFIG.step_apo.batch_size
    assert factory.given["step_apo"][1] == CONFIG.step_apo
    assert factory.given["step_dpo"][1] == CONFIG.step_apo.model_copy(update={"learning_rate": 3e-5, "alpha": 0.0})
    assert CONFIG.step_apo.alpha == 1.0


def test_v_is_learnt_once_in_a_model_of_its_own_or_beside_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    apart, beside = Factory(monkeypatch), configure("cpl-micro", value={"separate": False})
    apart.learn(CONFIG)
    assert apart.given["sft"][1] == CONFIG.sft.model_copy(update={"value_weight": 0.0})
    assert apart.given["value"][1] == CONFIG.value
    together = Factory(monkeypatch)
    assert together.learn(beside).value is None
    assert "value" not in together.given
    assert together.given["sft"][1] == beside.sft
    assert beside.sft.value_weight > 0


def test_without_a_right_path_the_policy_of_the_round_before_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = Factory(monkeypatch, policy_paths=0)
    learnt = factory.learn(CONFIG)
    assert list(learnt.models) == ["base", "step_dpo", "step_apo"]
    assert factory.given["step_apo"][0] == factory.given["step_dpo"][0] == BEFORE
    assert learnt.policy == ref("step_apo")
    assert [note for note in factory.notes if "No right path" in note]


def test_without_anything_to_learn_all_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = Factory(monkeypatch, **dict.fromkeys(FOUND, 0))
    assert factory.learn(CONFIG) == ({"base": BASE}, BEFORE, JUDGE)
    assert factory.given == {}
    assert len(factory.notes) == 2


def test_without_pairs_or_without_step_apo_the_next_policy_is_sft(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = Factory(monkeypatch, plan_pairs=0, solution_pairs=0)
    assert factory.learn(CONFIG).policy == ref("sft")
    assert factory.given.keys() == {"value", "sft"}
    factory = Factory(monkeypatch)
    assert factory.learn(configure("cpl-micro", ["step_dpo"])).policy == ref("sft")
    assert factory.given.keys() == {"value", "sft", "step_dpo"}

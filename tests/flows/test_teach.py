"""What a round trains, from what, on what settings; what it scores, and what the next round searches with."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import flows.round
from flows.parameters import RECIPES
from flows.round import Models, scored, teach
from infra.contract.training import Training
from infra.store import Ref
from tasks.recipe import Recipe
from tasks.running.record import RoundRun


def ref(name: str, rows: int = 0, **counts: int) -> Ref:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Ref(uri=f"s3://cpl/{name}/manifest.json", sha256=digest, rows=rows, counts=counts)


BASE, BEFORE, JUDGE = ref("base"), ref("policy of the last round"), ref("value model of the last round")
METHOD = Recipe.read(RECIPES / "cpl-micro.toml")
PATHS, PAIRS = ref("paths", 400, imitated=40, value_targets=300), ref("pairs", 60, plan_pairs=50)


class Factory:
    """Trains nothing, and notes what each arm was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: dict[str, tuple[Ref, Ref, Training]] = {}
        self.chats: set[str | None] = set()
        self.run = RoundRun()
        monkeypatch.setattr(flows.round, "learn", self.learn)
        monkeypatch.setattr(flows.round, "learn_apart", self.learn_apart)
        monkeypatch.setattr(flows.round, "side_by_side", self.side_by_side)
        monkeypatch.setattr(flows.round, "at_once", lambda base: 1)
        self.apart: list[str] = []
        self.at_once = 0

    @contextmanager
    def side_by_side(self, most: int) -> Iterator[Any]:
        self.at_once = most
        with ThreadPoolExecutor(2) as pool:
            yield pool.submit

    def learn(self, start: Ref, lesson: Ref, name: str, training: Training, chat: str | None) -> Ref:
        self.given[name] = (start, lesson, training)
        self.chats.add(chat)
        return ref(name)

    def learn_apart(self, start: Ref, lesson: Ref, name: str, training: Training, chat: str | None) -> Ref:
        self.apart.append(name)
        return self.learn(start, lesson, name, training, chat)

    def teach(
        self, method: Recipe = METHOD, paths: Ref = PATHS, pairs: Ref = PAIRS, train_apart: bool = False
    ) -> Models:
        return teach(method, self.run, {"paths": paths, "pairs": pairs}, BASE, BEFORE, JUDGE, train_apart)


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Factory:
    return Factory(monkeypatch)


def test_trainings_apart_are_given_the_same_and_wait_for_their_start_alone(factory: Factory) -> None:
    here = factory.teach()
    assert (factory.apart, factory.at_once) == ([], 1)
    given = dict(factory.given)
    assert factory.teach(train_apart=True) == here
    assert factory.given == given
    assert (sorted(factory.apart), factory.at_once) == (sorted(METHOD.arms), len(METHOD.arms))


def test_a_round_without_arms_has_room_for_a_training_all_the_same(factory: Factory) -> None:
    without = METHOD.model_copy(update={"arms": {}, "next": METHOD.next.model_copy(update={"policy": (), "value": ()})})
    assert factory.teach(without, train_apart=True) == Models({"base": BASE}, BEFORE, None)
    assert factory.at_once == 1, "a pool of no workers is none"


def test_every_arm_learns_its_lesson_from_where_the_recipe_says(factory: Factory) -> None:
    models = factory.teach()
    assert list(models.made) == ["base", "value", "sft", "step_apo", "sft_more", "step_dpo"]
    assert {name: given[:2] for name, given in factory.given.items()} == {
        "value": (BASE, PATHS),
        "sft": (BASE, PATHS),
        "sft_more": (ref("sft"), PATHS),
        "step_dpo": (ref("sft"), PAIRS),
        "step_apo": (ref("sft"), PAIRS),
    }
    assert (models.next_policy, models.next_value) == (ref("step_apo"), ref("value"))
    assert factory.run.stages == {name: ref(name) for name in factory.given}
    assert factory.run.notes == []


@pytest.mark.parametrize(("learnt_in", "chat"), [("format", None), ("chat", "plan")])
def test_all_arms_learn_in_a_chat_or_none(learnt_in: str, chat: str | None, factory: Factory) -> None:
    prompt = METHOD.prompt.model_copy(update={"style": "chat", "learnt_in": learnt_in})
    factory.teach(METHOD.model_copy(update={"prompt": prompt}))
    assert factory.chats == {chat}


def test_arms_differ_in_what_they_compare_and_in_nothing_else(factory: Factory) -> None:
    """A pair is two sequences: the control learns from as many of them as Step-APO."""
    factory.teach()
    control, apo, dpo = (factory.given[name][2] for name in ("sft_more", "step_apo", "step_dpo"))
    assert control.epochs * 40 == 2 * 60 * apo.epochs
    assert control.batch_size == 2 * apo.batch_size
    assert dpo == apo.model_copy(update={"alpha": 0.0})
    assert apo.alpha == 1.0
    assert type(apo) is Training, "a trainer is told of no other arm"


def test_a_later_round_may_start_from_the_policy_that_searched(factory: Factory) -> None:
    method = METHOD.model_copy(update={"arms": {"sft": METHOD.arms["sft"].model_copy(update={"start": "policy"})}})
    factory.teach(method)
    assert factory.given["sft"][0] == BEFORE


def test_without_a_right_path_the_policy_of_the_round_before_goes_on(factory: Factory) -> None:
    models = factory.teach(paths=ref("paths", 400, imitated=0, value_targets=300))
    assert list(models.made) == ["base", "value", "step_apo", "step_dpo"]
    assert factory.given["step_apo"][0] == factory.given["step_dpo"][0] == BEFORE
    assert models.next_policy == ref("step_apo")
    assert [note.split()[0] for note in factory.run.notes] == ["sft", "sft_more"]


def test_without_pairs_the_next_policy_is_sft_and_its_control_has_nothing_to_match(factory: Factory) -> None:
    assert factory.teach(pairs=ref("pairs", 0)).next_policy == ref("sft")
    assert factory.given.keys() == {"value", "sft"}


def test_without_anything_to_learn_all_stays_as_it_was(factory: Factory) -> None:
    empty = ref("paths", 0, imitated=0, value_targets=0)
    assert factory.teach(paths=empty, pairs=ref("pairs", 0)) == ({"base": BASE}, BEFORE, JUDGE)
    assert factory.given == {}
    assert "the policy stays what it was" in factory.run.notes[-1]


def test_a_method_without_a_value_model_goes_on_without(factory: Factory) -> None:
    method = METHOD.model_copy(update={"next": METHOD.next.model_copy(update={"value": ()})})
    assert factory.teach(method).next_value is None


def test_a_control_of_a_value_model_learns_from_as_many_paths(factory: Factory) -> None:
    """And not for each of the targets on them."""
    value = METHOD.arms["value"]
    imitating = METHOD.arms["sft"].model_copy(update={"like": "value"})
    factory.teach(METHOD.model_copy(update={"arms": {"value": value, "sft": imitating}}))
    assert factory.given["sft"][2].epochs * 40 == 400 * value.epochs


def test_values_alone_and_models_that_did_not_change_are_not_scored() -> None:
    made = {name: ref(name) for name in ("base", "value", "sft", "step_apo")} | {
        "sft_more": ref("sft_more", unchanged=1)
    }
    notes: list[str] = []
    assert list(scored(METHOD, Models(made, BASE, None), notes)) == ["base", "sft", "step_apo"]
    assert notes == ["sft_more: training changed no weight. It is the same as sft, and is not scored again."]
    del made["sft"]
    notes.clear()
    list(scored(METHOD, Models(made, BASE, None), notes))
    assert "the same as the policy that searched" in notes[0]


def test_notes_of_a_stage_are_the_rounds() -> None:
    run: Any = RoundRun()
    noted = Ref(uri="s3://cpl/x/manifest.json", sha256="0" * 64, rows=1, notes=("3 rows are cut.",))
    assert run.keep("sft", noted) is noted
    assert run.notes == ["sft: 3 rows are cut."]

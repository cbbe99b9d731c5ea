"""How a model is asked without a round, and whose V guides it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows.evaluate import EVERY, _of_round, asked_in_plan, knows_value
from infra.store import Manifest, Ref, Store
from tests.stages import manifest


def test_the_plan_form_is_asked_as_it_is_said() -> None:
    asked = asked_in_plan(["gsm8k/test"], 5, {"decoding": "beam", "beams": 8, "narrower_beams": True})
    assert (asked.benchmarks, asked.count, asked.out_of_domain_count) == (("gsm8k/test",), 5, 5)
    assert (asked.decoding, asked.beams, asked.widths) == ("beam", 8, (1, 2, 4, 8))
    assert asked_in_plan(["gsm8k/test"], 0, {}).count == EVERY


@pytest.mark.parametrize(
    ("plan", "how", "why"),
    [
        (["micro/test"], {"count": 5}, "how.count: no field that can be given here; these can: beams, .*decoding"),
        (["micro/test"], {"decodin": "beam"}, "how.decodin: no field that can be given here; these can: .*decoding"),
        ([], {"decoding": "beam"}, r"how: .* no benchmark is asked in it \(plan\)"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(plan: list[str], how: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        asked_in_plan(plan, 100, how)


class Kept:
    """A store of manifests: each model was trained from the one before."""

    def __init__(self, *losses: dict[str, float]) -> None:
        self.models = [Ref(uri=f"s3://cpl/{number}/manifest.json", sha256="0" * 64, rows=0) for number in range(9)]
        self.manifests: dict[str, Manifest] = {self.models[0].uri: manifest("model", "0", [])}
        for number, loss in enumerate(losses, 1):
            config = {"training": {"loss": loss, "batch_size": 32}}
            told = manifest("learn", "0", [], config=config, inputs={"start": self.models[number - 1]})
            self.manifests[self.models[number].uri] = told

    def knows_value(self, number: int) -> bool:
        store = SimpleNamespace(manifest=lambda ref: self.manifests[ref.uri])
        return knows_value(cast(Store, store), self.models[number])


def test_v_is_known_to_a_model_that_was_taught_it_and_to_what_was_trained_from_it() -> None:
    kept = Kept({"nll": 1.0}, {"nll": 1.0, "value": 0.1}, {"nll": 1.0})
    assert [kept.knows_value(number) for number in range(4)] == [False, False, True, True]


def test_a_folder_is_a_folder_though_its_path_reads_like_a_rounds_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out/3/model").mkdir(parents=True)
    assert _of_round("out/3/model") is None
    assert _of_round("out/x/model") is None

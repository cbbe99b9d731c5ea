"""The stage *study*: whose answers count where an arm learnt nothing."""

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from infra.store import Ref
from tasks.recipe import Recipe
from tasks.stages.study import compare, of_round
from tasks.study import Claim, Method, Study
from tests.tasks.running.local_stage import LocalStage

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
    again, idle = of_round(samples(base=False), first.filter(model="step_apo"), goes_on)
    assert (idle, dict(again.iter_rows())) == (["sft", "step_apo"], {"base": False, "sft": True, "step_apo": True})
    learnt, idle = of_round(samples(base=False, sft=False, step_apo=True), None, goes_on)
    assert (idle, dict(learnt.iter_rows())) == ([], {"base": False, "sft": False, "step_apo": True})


def ref(name: str, **counts: int) -> Ref:
    return Ref(uri=f"s3://cpl/{name}/manifest.json", sha256="0" * 64, rows=0, counts=counts)


class Rounds(LocalStage):
    """A workplace where the answers of each round's models are known: by place the models that all of them are right
    (True) or wrong (False)."""

    def __init__(
        self, folder: Path, found: dict[str, dict[str, bool]], clusters: tuple[str | None, ...] = (None,) * 3
    ) -> None:
        super().__init__(folder)
        self.clusters = clusters
        self.found, self.tables = found, dict[str, pl.DataFrame]()
        self.store: Any = SimpleNamespace(manifest=self.manifest)

    def manifest(self, round: Ref) -> Any:
        place = round.uri.removeprefix("s3://cpl/").removesuffix("/manifest.json")
        scored = {f"stages.evaluate_{name}": ref(f"{place}/{name}") for name in self.found[place]}
        return SimpleNamespace(
            inputs=scored | {"stages.pairs": ref(f"{place}/pairs", tokens=100)},
            created_at=datetime(2026, 3, int(place.split("/")[1])),
            code=f"code{place.split('/')[1]}",
        )

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        place, _, model = ref.uri.removeprefix("s3://cpl/").removesuffix("/manifest.json").rpartition("/")
        about = {"model": model, "split": "in_domain", "benchmark": "b", "generated_tokens": 9}
        about |= {"is_correct": self.found[place][model]}
        rows = [about | {"question_id": f"q{number}", "cluster": self.clusters[number]} for number in range(3)]
        return pl.DataFrame(rows, schema_overrides={"cluster": pl.String})

    def write(self, table: str, rows: Any) -> None:
        self.tables[table] = rows

    def add(self, name: str, data: bytes | Path, rows: int | None = None) -> None:
        assert isinstance(data, bytes)
        self.report = data.decode()


def test_a_seed_that_learnt_nothing_stays_in_the_mean_and_in_the_claims(tmp_path: Path) -> None:
    study = Study(
        model="micro",
        tokens=100,
        seeds=(1, 2),
        validation="micro/validation",
        methods={"cpl": Method(recipe="cpl-micro")},
        claims=(Claim(says="it helps", better="cpl.step_apo", worse="cpl.sft"),),
    )
    found = {"cpl/1/1": {"base": False, "sft": False, "step_apo": True}, "cpl/2/1": {"base": False, "sft": False}}
    workplace = Rounds(tmp_path, found)
    compare.body(workplace, "mine", study, {"cpl": [RECIPE]}, {place: ref(place) for place in found}, {})
    (claim,) = workplace.tables["claims"].to_dicts()
    assert (claim["mean"], claim["seeds"], claim["verdict"]) == (0.5, 2, "cannot be told at this n")
    assert "cpl/2/1: step_apo." in workplace.report
    assert "Rounds of 2026-03-01 to 2026-03-02 by code code1, code2; compared by code this code." in workplace.report


def test_a_study_keeps_the_clusters_of_its_questions(tmp_path: Path) -> None:
    study = Study(model="m", tokens=100, seeds=(1,), validation="v", methods={"cpl": Method(recipe="cpl-micro")})
    found = {"cpl/1/1": {"base": False, "sft": True, "step_apo": True}}
    workplace = Rounds(tmp_path, found, clusters=("t", "t", None))
    compare.body(workplace, "mine", study, {"cpl": [RECIPE]}, {place: ref(place) for place in found}, {})
    assert workplace.tables["answers"]["cluster"].to_list() == ["t", "t", "q2"] * 3


def test_an_arm_that_a_later_round_leaves_out_is_not_missed_there(tmp_path: Path) -> None:
    """It would count as what it started from, and as one that found nothing to learn."""
    method = Method(recipe="cpl-micro", rounds=2, from_round={2: {"without": ["step_apo"]}})
    study = Study(model="micro", tokens=100, seeds=(1,), validation="micro/validation", methods={"cpl": method})
    later = RECIPE.model_copy(update={"arms": {name: RECIPE.arms[name] for name in ("value", "sft")}})
    found = {"cpl/1/1": {"base": False, "sft": True, "step_apo": True}, "cpl/1/2": {"base": False, "sft": True}}
    workplace = Rounds(tmp_path, found)
    compare.body(workplace, "mine", study, {"cpl": [RECIPE, later]}, {place: ref(place) for place in found}, {})
    assert "cpl.step_apo@2" not in workplace.report
    assert "Nothing was learnt" not in workplace.report

"""What the warehouse says of a round's models: where they come from, and which of them are one and the same."""

import hashlib
from datetime import UTC, datetime

from infra.store import Manifest, Ref, StoredObject
from tasks.stages.publish import _model_rows


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def stage(name: str) -> Ref:
    return Ref(uri="s3://cpl/stages/manifest.json", sha256=digest(name), rows=0)


def manifest(name: str, weights: str, **inputs: Ref) -> Manifest:
    files = {"model/model.safetensors": weights, "model/policy.json": name}
    return Manifest(
        step=name,
        version=1,
        key="0" * 32,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.0,
        run_id="run",
        code="0",
        config={},
        inputs=inputs,
        objects=[StoredObject(name=file, size=1, sha256=digest(content)) for file, content in files.items()],
        facts={"updates": 3, "examples": 9, "rows": 0},
    )


def rows(**manifests: Manifest) -> dict[str, tuple[str | None, str | None]]:
    stages = {name: stage(name) for name in manifests}
    table = _model_rows(stages, manifests)
    return {row["model"]: (row["parent"], row["same_as"]) for row in table.to_dicts()}


def test_a_model_comes_from_what_its_training_was_given() -> None:
    made = rows(
        model=manifest("model", "a"),
        pairs=manifest("pairs", "-"),
        sft=manifest("sft", "b", start=stage("model"), pairs=stage("pairs")),
        step_apo=manifest("step_apo", "c", start=stage("sft"), pairs=stage("pairs")),
        sft_more=manifest("sft_more", "d", start=stage("sft"), pairs=stage("pairs")),
    )
    assert {name: parent for name, (parent, _) in made.items()} == {
        "base": None,
        "sft": "base",
        "step_apo": "sft",
        "sft_more": "sft",
    }
    assert all(same is None for _, same in made.values())


def test_without_sft_step_apo_comes_from_the_policy_of_the_round_before() -> None:
    made = rows(
        model=manifest("model", "a"),
        step_apo=manifest("step_apo", "c", start=stage("step_apo of the last round"), pairs=stage("pairs")),
    )
    assert made["step_apo"][0] == "previous"


def test_a_model_whose_weights_another_has_is_said_to_be_the_same() -> None:
    made = rows(
        model=manifest("model", "a"),
        sft=manifest("sft", "a", start=stage("model")),
        step_apo=manifest("step_apo", "c", start=stage("sft")),
        sft_more=manifest("sft_more", "a", start=stage("sft")),
    )
    assert {name: same for name, (_, same) in made.items()} == {
        "base": None,
        "sft": "base",
        "step_apo": None,
        "sft_more": "base",
    }

"""What the warehouse says of a round's models: where they come from, and which of them are one and the same."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import polars as pl

from flows.parameters import RECIPES
from infra.store import Manifest, Ref, StoredObject
from tasks.recipe import Recipe
from tasks.stages.warehouse import _model_rows, effects_of


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def stage(name: str) -> Ref:
    return Ref(uri="s3://cpl/stages/manifest.json", sha256=digest(name), rows=0)


def manifest(name: str, weights: str, **inputs: Ref) -> Manifest:
    files = {"model/model.safetensors": weights, "model/policy.json": name}
    return Manifest(
        stage=name,
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


METHOD = Recipe.read(RECIPES / "cpl-micro.toml")


def rows(policy: str = "base", /, **manifests: Manifest) -> list[dict[str, Any]]:
    stages = {name: stage(name) for name in manifests}
    return _model_rows(METHOD, stages, manifests, stage(policy)).to_dicts()


def test_a_model_comes_from_what_its_training_was_given() -> None:
    """In the order of the recipe, whatever else the round is made of."""
    made = rows(
        "step_apo",
        pairs=manifest("pairs", "-"),
        step_apo=manifest("step_apo", "c", start=stage("sft"), lesson=stage("pairs")),
        base=manifest("base", "a"),
        sft=manifest("sft", "b", start=stage("base"), lesson=stage("pairs")),
        value=manifest("value", "e", start=stage("base"), lesson=stage("pairs")),
        sft_more=manifest("sft_more", "d", start=stage("sft"), lesson=stage("pairs")),
    )
    assert [(row["model"], row["ordinal"], row["parent"]) for row in made] == [
        ("base", 0, None),
        ("value", 1, "base"),
        ("sft", 2, "base"),
        ("step_apo", 3, "sft"),
        ("sft_more", 4, "sft"),
    ]
    assert all(row["same_as"] is None for row in made)
    assert [row["model"] for row in made if not row["is_policy"]] == ["value"]
    assert [row["model"] for row in made if row["is_next"]] == ["step_apo"]
    assert {row["model"]: (row["lesson"], row["loss"]) for row in made} == {
        "base": (None, None),
        "value": ("paths", '{"value":1.0}'),
        "sft": ("paths", '{"nll":1.0}'),
        "sft_more": ("paths", '{"nll":1.0}'),
        "step_apo": ("pairs", '{"prefer":1.0}'),
    }


def test_without_its_start_an_arm_comes_from_the_policy_of_the_round_before() -> None:
    made = rows(
        "step_apo of the last round",
        base=manifest("base", "a"),
        step_dpo=manifest("step_dpo", "c", start=stage("step_apo of the last round"), lesson=stage("pairs")),
    )
    assert [(row["model"], row["parent"]) for row in made] == [("base", None), ("step_dpo", "previous")]
    assert not any(row["is_next"] for row in made)


def test_the_next_policy_is_the_one_that_was_chosen_the_base_too_where_nothing_was_learnt() -> None:
    both = {"base": manifest("base", "a"), "sft": manifest("sft", "b", start=stage("base"))}
    for policy in both:
        assert [row["model"] for row in rows(policy, **both) if row["is_next"]] == [policy]


def test_a_model_whose_weights_another_has_is_said_to_be_the_same() -> None:
    made = rows(
        base=manifest("base", "a"),
        sft=manifest("sft", "a", start=stage("base")),
        step_apo=manifest("step_apo", "c", start=stage("sft")),
        step_dpo=manifest("step_dpo", "c", start=stage("sft")),
        sft_more=manifest("sft_more", "a", start=stage("sft")),
    )
    assert {row["model"]: row["same_as"] for row in made} == {
        "base": None,
        "sft": "base",
        "step_apo": None,
        "sft_more": "base",
        "step_dpo": "step_apo",
    }


def test_what_a_training_did_is_told_by_pair_also_where_rows_were_left_out() -> None:
    numbers = {"chosen_before": -3.0, "chosen_after": -2.0, "rejected_before": -4.0, "rejected_after": -6.0}
    kept = pl.DataFrame([{"row": 2} | numbers, {"row": 0} | numbers | {"chosen_after": -5.0}])
    preferences = pl.DataFrame(
        {
            "pair_id": ["t/1-2", "t/3-4", "t/5-6"],
            "kind": ["plan", "plan", "solution"],
            "chosen_value": [1.0, 1.0, 0.5],
            "rejected_value": [-1.0, 0.75, -0.25],
        }
    )
    rows = effects_of("step_apo", "pairs", preferences, kept)
    told = {"model": "step_apo", "lesson": "pairs"} | numbers
    assert rows.to_dicts() == [
        told | {"pair_id": "t/5-6", "kind": "solution", "gap": 0.75},
        told | {"pair_id": "t/1-2", "kind": "plan", "gap": 2.0, "chosen_after": -5.0},
    ]

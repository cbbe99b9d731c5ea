"""The steps that end a round: the warehouse with its checks, the round's manifest, and the pointers to it (D6, D7).

A published round is immutable: its manifest names every stage by digest, and the stages' manifests name every
object, input, setting and code version. Pointers move; `latest` of a campaign and of each of its rounds.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from infra.environment import environment
from infra.store import Manifest, Ref, Store, rounds
from infra.store.rounds import NoSuchRound, Title
from infra.warehouse import ParquetSource, build, check
from tasks.records import TABLES, frame
from tasks.running.stage import Workplace, stage

MODELS = {"model": "base"} | {name: name for name in ("sft", "value", "sft_more", "step_dpo", "step_apo")}


class RuleBroken(RuntimeError):
    """A check of the warehouse found rows that break its rule; the message shows them."""


@stage("warehouse", version=3)
def build_warehouse(
    workplace: Workplace, title: Title, config: BaseModel, stages: dict[str, Ref], previous: Ref | None
) -> int:
    """The campaign so far as one DuckDB file, built by `sql/` and checked: any broken rule fails the round."""
    manifests = {name: workplace.store.manifest(ref) for name, ref in stages.items()}
    seconds = sum(manifest.seconds for manifest in manifests.values())
    workplace.write("rounds", _round_row(workplace, title, config, seconds))
    workplace.write("stages", _stagerows(stages, manifests))
    workplace.write("models", _model_rows(stages, manifests))
    workplace.write("artifacts", _artifact_rows(workplace.store, stages, manifests))
    own = {table: [workplace.folder / f"{table}.parquet"] for table in ("rounds", "stages", "models", "artifacts")}
    sources = _sources(title.campaign, title.round, own | _parquet_files(workplace.store, stages))
    while previous is not None:
        earlier = workplace.store.manifest(previous)
        files = _parquet_files(workplace.store, {k: v for k, v in earlier.inputs.items() if k.startswith("stages.")})
        for table, found in _sources(earlier.facts["campaign"], earlier.facts["round"], files).items():
            sources.setdefault(table, []).extend(found)
        previous = earlier.inputs.get("previous")
    path = workplace.folder / "factory.duckdb"
    build(path, sources)
    if violations := check(path):
        raise RuleBroken("\n".join(str(violation) for violation in violations))
    workplace.add(path.name, path)
    return 1


@stage("publish", version=1)
def publish(
    workplace: Workplace,
    title: Title,
    stages: dict[str, Ref],
    policy: Ref,
    previous: Ref | None,
    notes: list[str],
    value: Ref | None = None,
) -> int:
    """The round's manifest: every stage's reference, and what a reader wants to know first.

    `policy` and `value`: what the next round searches with; without a separate value model, the policy's own V.
    """
    workplace.facts |= title.model_dump() | {"state": "completed", "notes": notes}
    return 0


@task(name="point", cache_policy=NO_CACHE)
def point_to(title: Title, published: Ref) -> None:
    """Moves the pointers of the round and of the campaign to this publication."""
    rounds.publish(Store.open(environment()), title.campaign, title.round, published)


class RoundMissing(LookupError):
    """A later round was asked for before the one that it starts from was published."""


def round_before(title: Title) -> Ref | None:
    """The published manifest of the round that this one starts from; None for round 1."""
    if title.round == 1:
        return None
    try:
        return rounds.published(Store.open(environment()), title.campaign, title.round - 1).manifest
    except NoSuchRound as problem:
        raise RoundMissing(
            f"round {title.round} starts from round {title.round - 1} of campaign {title.campaign!r}, "
            "which is not published; run it first"
        ) from problem


def policy_of(published: Ref) -> Ref:
    """The model that a published round ended with: the policy that the next round searches with."""
    return Store.open(environment()).manifest(published).inputs["policy"]


def value_of(published: Ref) -> Ref | None:
    """The separate value model that judges the next round's steps; None: the policy's own V does."""
    return Store.open(environment()).manifest(published).inputs.get("value")


def library_of(published: Ref) -> dict[str, Ref]:
    """The stages of a published round whose plan steps the next round may be offered (tasks.search.library)."""
    inputs = Store.open(environment()).manifest(published).inputs
    return {name: inputs[f"stages.{name}"] for name in ("questions", "search")}


def facts(ref: Ref) -> dict[str, Any]:
    """What a stage noted about its own work."""
    return Store.open(environment()).manifest(ref).facts


def start_of(trained: Ref) -> Ref:
    """The model that a trained one was trained from."""
    return Store.open(environment()).manifest(trained).inputs["start"]


def _round_row(workplace: Workplace, title: Title, config: BaseModel, seconds: float) -> pl.DataFrame:
    row = {
        "run_id": workplace.run_id,
        "recipe": title.recipe,
        "model": title.model,
        "seconds": seconds,
        "created_at": datetime.now(UTC),
        "config": config.model_dump_json(),
        "code": workplace.code,
    }
    return frame("rounds", [row])


def _stagerows(stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    return frame(
        "stages",
        (
            {
                "step": name,
                "seconds": manifests[name].seconds,
                "run_id": manifests[name].run_id,
                "uri": ref.uri,
                "sha256": ref.sha256,
                "rows": ref.rows,
            }
            for name, ref in stages.items()
        ),
    )


def _model_rows(stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    return frame(
        "models",
        (
            {
                "model": MODELS[name],
                "uri": ref.uri,
                "sha256": ref.sha256,
                "parent": _parent(name, stages, manifests),
                "same_as": _same_as(name, manifests),
                "updates": manifests[name].facts.get("updates", 0),
                "examples": manifests[name].facts.get("examples", 0),
                "seconds": manifests[name].seconds,
            }
            for name, ref in stages.items()
            if name in MODELS
        ),
    )


def _parent(name: str, stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]) -> str | None:
    """What a model was trained from: one of this round's, or the policy of the round before."""
    if name == "model":
        return None
    start = manifests[name].inputs["start"]
    return next((MODELS[other] for other, ref in stages.items() if other in MODELS and ref == start), "previous")


def _same_as(name: str, manifests: Mapping[str, Manifest]) -> str | None:
    """The first other model, of those before it, with the same weights."""
    before = list(manifests)[: list(manifests).index(name)]
    same = (one for one in before if one in MODELS and _weights(manifests[one]) == _weights(manifests[name]))
    return next((MODELS[one] for one in same), None)


def _weights(manifest: Manifest) -> dict[str, str]:
    """Digests of a model's files of weights."""
    return {stored.name: stored.sha256 for stored in manifest.objects if stored.name.endswith(".safetensors")}


def _artifact_rows(store: Store, stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    return frame(
        "artifacts",
        (
            {
                "step": name,
                "name": stored.name,
                "uri": store.uri_of(stages[name], stored),
                "size": stored.size,
                "sha256": stored.sha256,
                "rows": stored.rows,
            }
            for name, manifest in manifests.items()
            for stored in manifest.objects
        ),
    )


def _parquet_files(store: Store, stages: Mapping[str, Ref]) -> dict[str, list[Path]]:
    """Every table that the stages wrote, as local verified files."""
    files: dict[str, list[Path]] = {}
    for ref in stages.values():
        for stored in store.manifest(ref).objects:
            table = stored.name.removesuffix(".parquet")
            if table in TABLES:
                files.setdefault(table, []).append(store.fetch(ref, stored.name))
    return files


def _sources(campaign: str, round: int, files: Mapping[str, list[Path]]) -> dict[str, list[ParquetSource]]:
    return {
        table: [ParquetSource(campaign=campaign, round=round, path=path) for path in paths]
        for table, paths in files.items()
    }

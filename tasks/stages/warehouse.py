"""The stage *warehouse*: the campaign so far as one DuckDB file, built by `sql/` and checked (design D7)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from infra.store import Manifest, Ref, Store, rounds
from infra.store.rounds import Title
from infra.warehouse import ParquetSource, build, check
from tasks.recipe import Recipe
from tasks.records import TABLES, frame
from tasks.running.stage import stage
from tasks.running.workplace import Workplace


class RuleBroken(RuntimeError):
    """A check of the warehouse found rows that break its rule; the message shows them."""


@stage("warehouse", version=9)
def build_warehouse(
    workplace: Workplace, title: Title, recipe: Recipe, stages: dict[str, Ref], policy: Ref, previous: Ref | None
) -> int:
    """The campaign so far as one DuckDB file, built by `sql/` and checked: any broken rule fails the round.

    `policy`: the model that the next round searches with.
    """
    manifests = {name: workplace.store.manifest(ref) for name, ref in stages.items()}
    seconds = sum(manifest.seconds for manifest in manifests.values())
    workplace.write("rounds", _round_row(workplace, title, recipe, seconds))
    workplace.write("stages", _stage_rows(stages, manifests))
    workplace.write("models", _model_rows(recipe, stages, manifests, policy))
    workplace.write("artifacts", _artifact_rows(workplace.store, stages, manifests))
    own = {table: [workplace.folder / f"{table}.parquet"] for table in ("rounds", "stages", "models", "artifacts")}
    sources = _sources(title.campaign, title.round, own | _parquet_files(workplace.store, stages))
    while previous is not None:
        earlier = workplace.store.manifest(previous)
        files = _parquet_files(workplace.store, rounds.stages_of(earlier))
        for table, found in _sources(earlier.facts["campaign"], earlier.facts["round"], files).items():
            sources.setdefault(table, []).extend(found)
        previous = earlier.inputs.get("previous")
    path = workplace.folder / "factory.duckdb"
    build(path, sources)
    if violations := check(path):
        raise RuleBroken("\n".join(str(violation) for violation in violations))
    workplace.add(path.name, path)
    return 1


def _round_row(workplace: Workplace, title: Title, recipe: Recipe, seconds: float) -> pl.DataFrame:
    row = {
        "run_id": workplace.run_id,
        "recipe": title.recipe,
        "model": title.model,
        "seconds": seconds,
        "created_at": datetime.now(UTC),
        "config": recipe.model_dump_json(),
        "code": workplace.code,
    }
    return frame("rounds", [row])


def _stage_rows(stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    return frame(
        "stages",
        (
            {
                "stage": name,
                "seconds": manifests[name].seconds,
                "run_id": manifests[name].run_id,
                "uri": ref.uri,
                "sha256": ref.sha256,
                "rows": ref.rows,
            }
            for name, ref in stages.items()
        ),
    )


def _model_rows(
    recipe: Recipe, stages: Mapping[str, Ref], manifests: Mapping[str, Manifest], policy: Ref
) -> pl.DataFrame:
    """The base model and the arms that were trained, in the recipe's order."""
    models = [name for name in ("base", *recipe.arms) if name in stages]
    is_next = next((name for name in models if stages[name].sha256 == policy.sha256), None)
    rows = []
    for ordinal, name in enumerate(models):
        arm, manifest = recipe.arms.get(name), manifests[name]
        start = manifest.inputs.get("start")
        parents = [one for one in models[:ordinal] if start and stages[one].sha256 == start.sha256]
        same = [one for one in models[:ordinal] if _weights(manifests[one]) == _weights(manifest)]
        rows.append(
            {
                "model": name,
                "ordinal": ordinal,
                "uri": stages[name].uri,
                "sha256": stages[name].sha256,
                "parent": (parents or ["previous"])[0] if start else None,
                "same_as": same[0] if same else None,
                "is_policy": arm is None or arm.loss.makes_policy,
                "is_next": name == is_next,
                "lesson": arm and arm.lesson,
                "loss": arm and arm.loss.model_dump_json(exclude_defaults=True),
                "updates": manifest.facts.get("updates", 0),
                "examples": manifest.facts.get("examples", 0),
                "token_ratio": manifest.facts.get("token_ratio"),
                "seconds": manifest.seconds,
            }
        )
    return frame("models", rows)


def _weights(manifest: Manifest) -> dict[str, str]:
    """Digests of a model's files of weights."""
    return {stored.name: stored.sha256 for stored in manifest.objects if stored.name.endswith(".safetensors")}


def _artifact_rows(store: Store, stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    return frame(
        "artifacts",
        (
            {
                "stage": name,
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

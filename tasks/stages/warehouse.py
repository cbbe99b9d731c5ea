"""The stage *warehouse*: what a round is made of, as tables, and all of its tables checked by `sql/` (design D7)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from infra.desk.published import round_sources
from infra.store import Manifest, Ref, Store
from infra.store.rounds import Title
from infra.warehouse import ParquetSource, build, check
from tasks.recipe import Recipe
from tasks.records import TABLES, frame
from tasks.running.progress import Progress
from tasks.running.stage import stage
from tasks.running.workplace import Workplace

EFFECTS = "effects.parquet"
"""What a training did to its pairs, as its trainer wrote it."""

LEARNT = ["pair_id", "kind", "chosen_value", "rejected_value"]
"""What is told of a pair beside that."""

SHORT_SECONDS = 5.0
"""A warehouse that is built sooner needs no bar."""


class RuleBroken(RuntimeError):
    """A check of the warehouse found rows that break its rule; the message shows them."""


@stage("warehouse", version=15)
def build_warehouse(workplace: Workplace, title: Title, recipe: Recipe, stages: dict[str, Ref], policy: Ref) -> int:
    """The tables of a round that say what it is made of, and all of its tables checked: a broken rule fails the round.

    Only this round's: those before it were checked when they were made. `policy`: the model that the next round
    searches with.
    """
    manifests = {name: workplace.store.manifest(ref) for name, ref in stages.items()}
    seconds = sum(manifest.seconds for manifest in manifests.values())
    own = {
        "rounds": _round_row(workplace, title, recipe, seconds),
        "stages": _stage_rows(stages, manifests),
        "inputs": _input_rows(manifests),
        "models": _model_rows(recipe, stages, manifests, policy),
        "artifacts": _artifact_rows(workplace.store, stages, manifests),
        "pair_effects": _effect_rows(workplace, recipe, stages, manifests),
    }
    sources = round_sources(workplace.store, title.campaign, title.round, stages)
    for table, rows in own.items():
        workplace.write(table, rows)
        sources[table] = [ParquetSource(title.campaign, title.round, workplace.folder / f"{table}.parquet")]
    path = workplace.folder / "round.duckdb"
    bar: Progress | None = None

    def told(done: int, total: int) -> None:
        nonlocal bar
        if bar is not None:
            bar.show(done)
        elif workplace.timeline.seconds > SHORT_SECONDS:
            bar = Progress(workplace.log, "Tables of the warehouse", total)

    build(path, sources, told)
    if violations := check(path):
        raise RuleBroken("\n".join(str(violation) for violation in violations))
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
                "gpu_hours": _gpu_hours(manifests[name]),
                "run_id": manifests[name].run_id,
                "uri": ref.uri,
                "sha256": ref.sha256,
                "rows": ref.rows,
                "version": manifests[name].version,
                "code": manifests[name].code,
                "settings": json.dumps(manifests[name].config, sort_keys=True),
                "engine": manifests[name].facts.get("engine"),
            }
            for name, ref in stages.items()
        ),
    )


def _gpu_hours(manifest: Manifest) -> float | None:
    return None if manifest.gpu_seconds is None else manifest.gpu_seconds / 3600


def _input_rows(manifests: Mapping[str, Manifest]) -> pl.DataFrame:
    return frame(
        "inputs",
        (
            {"stage": name, "input": given, "uri": ref.uri, "sha256": ref.sha256}
            for name, manifest in manifests.items()
            for given, ref in manifest.inputs.items()
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


def _effect_rows(
    workplace: Workplace, recipe: Recipe, stages: Mapping[str, Ref], manifests: Mapping[str, Manifest]
) -> pl.DataFrame:
    """Of all trainings that kept what they did to their pairs."""
    told = [frame("pair_effects", [])]
    for name, arm in recipe.arms.items():
        if name in stages and any(stored.name == EFFECTS for stored in manifests[name].objects):
            lesson = workplace.store.fetch(stages[arm.lesson], "preferences.parquet")
            effects = pl.read_parquet(workplace.store.fetch(stages[name], EFFECTS))
            told.append(effects_of(name, arm.lesson, pl.read_parquet(lesson, columns=LEARNT), effects))
    return pl.concat(told)


def effects_of(model: str, lesson: str, preferences: pl.DataFrame, effects: pl.DataFrame) -> pl.DataFrame:
    """Rows of `pair_effects` from what a trainer kept, which names a pair by the row of its lesson."""
    learnt = preferences[effects["row"]].select(
        "pair_id", "kind", gap=pl.col("chosen_value") - pl.col("rejected_value")
    )
    labels = {"model": pl.lit(model), "lesson": pl.lit(lesson)}
    return learnt.with_columns(effects.drop("row")).with_columns(**labels).match_to_schema(TABLES["pair_effects"])


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

"""What two rounds must have in common that differ in nothing but their accidents: the rows of their tables."""

import hashlib
import json
from typing import Any

from infra.desk.published import published, warehouse_of
from infra.store import Store
from infra.warehouse import opened, relations

OF_ITS_OWN = {"campaign", "round", "run_id", "created_at", "code", "config", "settings"}
"""Columns that name a round, its run and its number of a repeat."""
OF_THE_CLOCK = {"seconds", "queue_seconds", "service_seconds"}
OF_ATTEMPTS = {"requests", "failed_requests", "cached_tokens"}
"""Columns that count what was asked again."""
OF_PLACES = {"uri", "sha256", "size"}
"""Of stages, whose manifests and Parquet hold the columns above. Of weights the digest is compared."""
APART = {"rounds", "stages", "inputs", "artifacts", "engine_use"}
"""Tables of nothing else."""


def rows(store: Store, campaign: str) -> dict[str, list[str]]:
    """By table, the rows of a campaign's first round as JSON, sorted; `weights`: digests of the models' files."""
    left_out = OF_ITS_OWN | OF_THE_CLOCK | OF_ATTEMPTS | OF_PLACES
    found: dict[str, list[str]] = {}
    with opened(warehouse_of(store, published(store, campaign, 1))) as warehouse:
        for table in relations("tables"):
            if table not in APART:
                asked = warehouse.sql(f"select * from {table}")
                kept = [name for name in asked.columns if name not in left_out]
                found[table] = _sorted(asked.select(*kept).fetchall())
        weights = "select stage, name, sha256 from artifacts where name like '%.safetensors'"
        found["weights"] = _sorted(warehouse.sql(weights).fetchall())
    return found


def _sorted(found: list[Any]) -> list[str]:
    return sorted(json.dumps(row, default=str) for row in found)


def digest(found: dict[str, list[str]]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> list[str]:
    """What `other` lost, doubled or changed, a sentence for each table that is not the same."""
    said = []
    for table in one.keys() | other.keys():
        mine, its = one.get(table, []), other.get(table, [])
        if mine == its:
            continue
        doubled = len(its) - len(set(its)) - (len(mine) - len(set(mine)))
        lost, new = set(mine) - set(its), set(its) - set(mine)
        said.append(f"{table}: {len(its)} rows for {len(mine)}, {doubled} doubled, {len(lost)} missing, {len(new)} new")
    return sorted(said)

"""Committed stages for tests, as `tasks.running.workplace` writes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.store import Manifest, Ref, Store, StoredObject


def manifest(stage: str, key: str, objects: list[StoredObject], **fields: Any) -> Manifest:
    about: dict[str, Any] = {
        "version": 1,
        "created_at": datetime.now(UTC),
        "seconds": 2.0,
        "run_id": key,
        "code": "0.1.0",
        "config": {},
        "inputs": {},
        "facts": {},
    }
    return Manifest(stage=stage, key=key, objects=objects, **about | fields)


def commit(
    store: Store,
    stage: str,
    key: str,
    payload: Mapping[str, bytes | Path] | None = None,
    inputs: Mapping[str, Ref] | None = None,
    version: int = 1,
    **facts: Any,
) -> Ref:
    """A stage with these objects, by name."""
    objects = [store.add(name, data) for name, data in (payload or {}).items()]
    return store.commit(manifest(stage, key, objects, inputs=dict(inputs or {}), version=version, facts=facts))

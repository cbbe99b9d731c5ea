"""The record of a flow run: what it did and what it found done, written when it ends, however it ends.

`cpl show` reads it. It is not part of what is published: a run that finds everything cached publishes nothing new,
and still says so here.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.runtime import flow_run

from infra.disk import room_in
from infra.engine import tenant
from infra.s3 import StoreError
from infra.settings import settings as environment
from infra.store import Ref, Store


@contextmanager
def recorded(campaign: str, round: int) -> Iterator[tuple[dict[str, Ref], list[str]]]:
    """Gives the round's stages (by name, in order) and notes to fill; records them, and leaves the local engine."""
    store = Store.open(environment())
    stages: dict[str, Ref] = {}
    notes: list[str] = []
    started = time.monotonic()
    error: str | None = "the run was cancelled or interrupted"
    try:
        with room_in(environment().home), tenant(environment()):
            yield stages, notes
        error = None
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        try:
            _record(store, campaign, round, stages, notes, error, time.monotonic() - started)
        except StoreError as problem:  # it neither hides why a run failed nor fails one that published its round
            logging.getLogger("prefect.flow_runs").warning(
                "what this run did was not recorded for `cpl show`: %s", problem
            )


def _record(
    store: Store, campaign: str, round: int, stages: dict[str, Ref], notes: list[str], error: str | None, seconds: float
) -> None:
    run_id = str(flow_run.id or "")
    manifests = {name: store.manifest(ref) for name, ref in stages.items()}
    record = {
        "campaign": campaign,
        "round": round,
        "run_id": run_id,
        "state": "completed" if error is None else "failed",
        "seconds": seconds,
        "stages": [
            {"step": name, "seconds": manifest.seconds, "cached": manifest.run_id != run_id}
            for name, manifest in manifests.items()
        ],
        "notes": notes,
        "error": error,
    }
    store.put(f"runs/latest/{campaign}/{round:04d}.json", json.dumps(record, indent=2).encode())

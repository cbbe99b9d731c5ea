"""The record of a flow run: its stages, done or found done, and its error. It is written however the run ends.

`cpl show` reads it. It is not published: a run that finds everything cached publishes nothing new and still leaves a
record.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Crashed

from infra.contract.disk import room_in
from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref, Store, rounds
from infra.store.rounds import Title
from infra.store.s3 import StoreError
from tasks.running.opening import run_name
from tasks.running.progress import in_the_ui, show_page, words

WAITS = "it waits for somebody to let it go on: Resume on the page of its flow run, where it shows what would be learnt"


@dataclass
class RoundRun:
    """What a run of a round has done or found done so far: its stages by name, in order, and what to know of them."""

    stages: dict[str, Ref] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def keep(self, name: str, stage: Ref) -> Ref:
        """Makes a stage the round's, with the notes that it left."""
        self.stages[name] = stage
        self.notes += [f"{name}: {note}" for note in stage.notes]
        return stage


@contextmanager
def recorded(title: Title) -> Iterator[RoundRun]:
    """Gives the run to fill; records it when it ends, however it ends, and leaves the local engine."""
    log = get_run_logger()
    log.info("round %d of campaign %s", title.round, title.campaign)
    with in_the_ui(log):
        _name_the_run(title)
        _end_lost_tasks()
    store = Store.open(environment())
    run = RoundRun()
    started = time.monotonic()
    error: str | None = "the run was cancelled or interrupted"
    try:
        with room_in(environment().home), tenant(environment()):
            yield run
        error = None
    except Pause:
        error = WAITS
        raise
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        with in_the_ui(log):
            _say_why(error)
        raise
    finally:
        try:
            rounds.write_record(store, _record(store, title, run, error, time.monotonic() - started))
        except (StoreError, OSError) as problem:
            log.warning("what this run did could not be recorded, so `cpl show` does not know it: %s", problem)


def _record(store: Store, title: Title, run: RoundRun, error: str | None, seconds: float) -> dict[str, Any]:
    run_id = str(flow_run.id or "")
    manifests = {name: store.manifest(ref) for name, ref in run.stages.items()}
    return title.model_dump() | {
        "run_id": run_id,
        "state": "completed" if error is None else "waiting" if error == WAITS else "failed",
        "seconds": seconds,
        "stages": [
            {"stage": name, "seconds": manifest.seconds, "cached": manifest.run_id != run_id}
            for name, manifest in manifests.items()
        ],
        "notes": run.notes,
        "error": error,
    }


def _say_why(error: str) -> None:
    """The sentence by itself: the state's page shows it below a log of many lines."""
    show_page(
        key="why-it-failed",
        text=f"## The round failed\n\n{words(error)}\n\nWhat was finished is kept. When the cause is gone, press "
        "**Retry**: the round goes on where it stopped.\n",
        description="Why the round failed",
    )


def _name_the_run(title: Title) -> None:
    """On the server and, for the lines that stages log, here."""
    name, run = run_name(title.campaign, title.round), FlowRunContext.get()
    if run is not None and run.flow_run is not None:
        run.flow_run.name = name
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)


def _end_lost_tasks() -> None:
    """Task runs of this flow run that a killed process left running: nobody else would ever end them."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    running = TaskRunFilter(state={"type": TaskRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])})
    with get_client(sync_client=True) as client:
        for lost in client.read_task_runs(flow_run_filter=of_run, task_run_filter=running):
            client.set_task_run_state(
                lost.id, Crashed(message="The process ended; the retry did it again."), force=True
            )

"""Starting a deployed flow and following it to its end: what `cpl round` shows in the terminal.

The run itself lives on the Prefect server and its worker; ending this command does not end the run.
"""

import time
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterTaskRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.client.schemas.sorting import TaskRunSort
from rich.console import Console

POLL_SECONDS = 1.0
PROGRESS_EVERY_SECONDS = 10.0


def start(deployment: str, parameters: dict[str, Any]) -> FlowRun:
    """Creates a run of `flow/deployment`, as `prefect deployment run` does."""
    with get_client(sync_client=True) as client:
        deployed = client.read_deployment_by_name(deployment)
        return client.create_flow_run_from_deployment(deployed.id, parameters=parameters)


def follow(run: FlowRun, console: Console) -> State[Any]:
    """Prints a line when a step starts, ends, or has gone on for a while; returns the run's final state."""
    shown: dict[Any, str] = {}
    told: dict[Any, float] = {}
    with get_client(sync_client=True) as client:
        while True:
            state = client.read_flow_run(run.id).state
            if state is not None and state.name == "Late" and run.id not in shown:
                shown[run.id] = state.name
                console.print(f"{time.strftime('%H:%M:%S')}  waits for its turn: one round runs at a time")
            for task in _tasks(client, run):
                _tell(client, task, shown, told, console)
            if state is not None and state.is_final():
                return state
            time.sleep(POLL_SECONDS)


def _tasks(client: SyncPrefectClient, run: FlowRun) -> list[TaskRun]:
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    return client.read_task_runs(flow_run_filter=of_run, sort=TaskRunSort.EXPECTED_START_TIME_ASC)


def _tell(
    client: SyncPrefectClient, task: TaskRun, shown: dict[Any, str], told: dict[Any, float], console: Console
) -> None:
    state, now = task.state_name or "Pending", time.monotonic()
    if shown.get(task.id) != state:
        shown[task.id], told[task.id] = state, now
        seconds = task.total_run_time.total_seconds()
        took = f"{seconds:6.1f} s" if state == "Completed" else ""
        console.print(f"{time.strftime('%H:%M:%S')}  {task.name:<14} {state.lower():<10} {took}")
    elif state == "Running" and now - told[task.id] > PROGRESS_EVERY_SECONDS:
        told[task.id] = now
        of_task = ArtifactFilter(task_run_id=ArtifactFilterTaskRunId(any_=[task.id]))
        bars = [a for a in client.read_artifacts(artifact_filter=of_task) if a.type == "progress"]
        if bars:
            console.print(f"{time.strftime('%H:%M:%S')}  {task.name:<14} {bars[0].data:5.1f} %")

"""Starts a deployed flow and follows it to its end: what `cpl round` shows in the terminal.

The run itself lives on the Prefect server and its worker; ending this command does not end the run.
"""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    ArtifactFilterTaskRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.client.schemas.sorting import TaskRunSort
from prefect.exceptions import ObjectNotFound
from rich.console import Console

POLL_SECONDS = 1.0
PROGRESS_EVERY_SECONDS = 10.0
SILENCE_SECONDS = 900.0
"""How long a server may not answer: on a machine that is short of memory it was a quarter of an hour, and the run went
on."""
WAITS = {
    "Late": "waits for its turn: one round runs at a time",
    "Suspended": "waits for you: its page shows what would be learnt; press Resume there, or Cancel",
}
"""What there is to say of a run that does not run, by the name of its state."""
PACE_OF = 5
"""Moves of a run's own bar that its pace is measured by."""


class UnknownField(ValueError):
    """A parameter that the flow does not have."""


class OutOfSight(Exception):
    """A run that can be followed no more: its server is silent, or has forgotten it."""


def start(deployment: str, parameters: dict[str, Any]) -> FlowRun:
    """Creates a run of `flow/deployment`, as `prefect deployment run` does.

    Raises:
        UnknownField: for a parameter that the flow does not have: the server takes it, and the run fails when its turn
            comes.
    """
    with get_client(sync_client=True) as client:
        deployed = client.read_deployment_by_name(deployment)
        known = (deployed.parameter_openapi_schema or {}).get("properties", {})
        if unknown := sorted(parameters.keys() - known.keys()):
            raise UnknownField(f"there is no field {', '.join(unknown)}. The fields are: {', '.join(known)}")
        return client.create_flow_run_from_deployment(deployed.id, parameters=parameters)


def follow(run: FlowRun, console: Console) -> State[Any]:
    """Prints a line when a stage, or a run within the run, starts or ends, and now and then how far it is; returns the
    run's final state. A server that does not answer is asked again.

    Raises:
        OutOfSight: where it was silent for SILENCE_SECONDS, or the run was deleted.
    """
    told: dict[UUID, _Told] = {}
    bar: _Bar | None = None
    said = ""
    silent_since: float | None = None
    with get_client(sync_client=True) as client:
        while True:
            try:
                state = client.read_flow_run(run.id).state
                if state is not None and state.name != said:
                    said = state.name or ""
                    if said in WAITS:
                        _say(console, WAITS[said])
                bar = _tell_bar(client, run, bar, console)
                for task in _tasks(client, run):
                    _tell(client, task, told, console)
                if state is not None and state.is_final():
                    return state
                silent_since = None
            except ObjectNotFound as problem:
                raise OutOfSight("the run, or one within it, was deleted") from problem
            except httpx.HTTPError as problem:
                if silent_since is None:
                    silent_since = time.monotonic()
                    _say(console, "the Prefect server does not answer, asking again; the run goes on without this")
                elif time.monotonic() - silent_since > SILENCE_SECONDS:
                    raise OutOfSight(
                        f"the Prefect server has not answered for {SILENCE_SECONDS / 60:.0f} minutes ({problem!r}). "
                        "The run may go on all the same: `cpl status` says what runs, and its page how far it is"
                    ) from problem
            time.sleep(POLL_SECONDS)


def page(run: UUID, key: str) -> str:
    """The Markdown that a flow run shows on its page under a key.

    Raises:
        LookupError: where it shows none.
    """
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]), key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted)
    if not found:
        raise LookupError(f"the run shows no page {key!r}")
    return str(found[-1].data)


class _Bar(NamedTuple):
    """What a run said of itself last, and when (s) and how far (%) it was seen, the last few times that it moved."""

    said: str
    seen: tuple[tuple[float, float], ...]


def _tell_bar(client: SyncPrefectClient, run: FlowRun, last: _Bar | None, console: Console) -> _Bar | None:
    """How far the run as a whole is, where it draws a bar of its own: told when it moves."""
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    bars = [one for one in client.read_artifacts(artifact_filter=of_run) if one.type == "progress"]
    if not (whole := [one for one in bars if one.task_run_id is None]):
        return last
    said, done, now = str(whole[0].description), float(whole[0].data), time.monotonic()  # type: ignore[arg-type]
    if last is None or last.said != said:
        seen = (last.seen if last else ())[-PACE_OF:]  # what was found in the cache at the start is no pace of the rest
        _say(console, f"{said}{remaining(*seen[0], now, done) if seen else ''}")
        return _Bar(said, (*seen, (now, done)))
    return last


@dataclass
class _Told:
    """What was said of a task: its name, its state, when, and the share that was done when its bar was first seen."""

    name: str
    state: str
    at: float
    since: float
    first: tuple[float, float] | None = None


def _tell(client: SyncPrefectClient, task: TaskRun, told: dict[UUID, _Told], console: Console) -> None:
    state, now = task.state_name or "Pending", time.monotonic()
    if state == "Pending":  # a run within the run has no name of its own yet
        return
    last = told.get(task.id)
    if last is None or last.state != state:
        last = told[task.id] = _Told(_name_of(client, task), state, now, now)
        took = f"{task.total_run_time.total_seconds():6.1f} s" if state in ("Completed", "Cached") else ""
        _say(console, f"{last.name:<20} {state.lower():<10} {took}")
    elif state == "Running" and now - last.at > PROGRESS_EVERY_SECONDS:
        of_task = ArtifactFilter(task_run_id=ArtifactFilterTaskRunId(any_=[task.id]))
        bars = [float(one.data) for one in client.read_artifacts(artifact_filter=of_task) if one.type == "progress"]  # type: ignore[arg-type]
        if bars:
            last.at, last.first = now, last.first or (now, bars[0])
            _say(console, f"{last.name:<20} {bars[0]:5.1f} %{remaining(*last.first, now, bars[0])}")
        elif now - last.at > last.at - last.since:  # after 10 s, 20 s, 40 s: there is nothing new to tell
            last.at = now
            _say(console, f"{last.name:<20} has run for {now - last.since:.0f} s")


def _name_of(client: SyncPrefectClient, task: TaskRun) -> str:
    """A stage's name, or that of the run within the run that a task stands for."""
    child = task.state.state_details.child_flow_run_id if task.state else None
    return client.read_flow_run(child).name if child else task.name


def remaining(then: float, done_then: float, now: float, done: float) -> str:
    """What is left at the pace since `then`, in words; nothing before there is a pace, or at the end.

    Times in s, shares in %.
    """
    if done <= done_then or done >= 100:
        return ""
    seconds = (now - then) * (100 - done) / (done - done_then)
    return f", about {seconds:.0f} s left" if seconds < 120 else f", about {seconds / 60:.0f} minutes left"


def _say(console: Console, line: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')}  {line}".rstrip())


def _tasks(client: SyncPrefectClient, run: FlowRun) -> list[TaskRun]:
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    return client.read_task_runs(flow_run_filter=of_run, sort=TaskRunSort.EXPECTED_START_TIME_ASC)

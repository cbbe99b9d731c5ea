"""Runs of one deployment side by side, on any workers, started by a run that waits for all.

When a run's process or machine is lost, the watch marks it Crashed some 90 s later (`infra.stack.watch`). It is then
started anew, on any worker with room. Prefect shows the runs under the run that started them and cancels them with it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType, WorkQueueStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

POLL_SECONDS = 2.0
MOST_STARTS = 3
"""Starts of one run in all: more machines than this are not lost by chance."""
CLAIMED = timedelta(minutes=15)
"""A run that its worker has not begun by then is lost: it has no heartbeat to miss."""
WAITS = {
    WorkQueueStatus.READY: "its workers have no room yet",
    WorkQueueStatus.PAUSED: "it is paused",
    WorkQueueStatus.NOT_READY: "no worker serves it. Start one, or cancel this run",
}
UNDER_WAY = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED]

Log = logging.Logger | logging.LoggerAdapter[Any]


class RunFailed(RuntimeError):
    """One of the runs failed, was cancelled, or was lost once too often; the message says which, and its own."""


@dataclass
class _Child:
    name: str
    parameters: dict[str, Any]
    run: FlowRun
    starts: int = 1
    is_late: bool = False

    @property
    def is_done(self) -> bool:
        return self.run.state is not None and self.run.state.is_completed()


def run_each(
    deployment: str,
    parameters: Mapping[str, dict[str, Any]],
    log: Log,
    progress: Callable[[int], object],
    given_up: Callable[[], bool] = lambda: False,
) -> None:
    """Waits for a run of `deployment` (flow/name) with each of the `parameters` (JSON), by name, to complete.

    Called again after it was interrupted, it joins the runs that still go instead of starting others beside them.
    `progress` gets the number of finished runs when it has grown. What the runs made, the caller finds in the store.
    `given_up`: whether to wait no more, for who waits in a thread that Prefect's signal does not reach.

    Raises:
        RunFailed: as soon as one failed, or it was given up. The others go on, and what they finish is there for the
            next call.
    """
    with get_client(sync_client=True) as client:
        joinable = _under_way(client, deployment)
        children = []
        for name, given in parameters.items():
            if run := next((run for run in joinable if run.parameters == given), None):
                log.info("%s: joining its run, which still goes", name)
            children.append(_Child(name, given, run or _start(deployment, name, given, 1)))
        while waiting := [child for child in children if not child.is_done]:
            time.sleep(POLL_SECONDS)
            if given_up():
                raise RunFailed(f"{waiting[0].name}: nobody waits for its run any more")
            try:
                now = {run.id: run for run in _read(client, waiting)}
            except httpx.HTTPError as problem:
                log.warning("the Prefect server does not answer, asking again: %s", problem)
                continue
            for child in waiting:
                if child.run.id not in now:
                    raise RunFailed(f"{child.name}: its run was deleted")
                child.run = now[child.run.id]
                _look_after(client, child, deployment, log)
            if any(child.is_done for child in waiting):
                progress(sum(child.is_done for child in children))


def _look_after(client: SyncPrefectClient, child: _Child, deployment: str, log: Log) -> None:
    """Starts a lost run again, tells of one that nobody takes, and raises for one that ended otherwise."""
    state = child.run.state
    if state is None or child.is_done:
        return
    if state.is_crashed() and child.starts < MOST_STARTS:
        child.starts += 1
        log.warning(
            "%s was lost (%s) and is started again (%d of at most %d); what it finished is kept",
            *(child.name, state.message, child.starts, MOST_STARTS),
        )
        child.run, child.is_late = _start(deployment, child.name, child.parameters, child.starts), False
    elif state.is_final():
        raise RunFailed(f"{child.name} ended {state.name}: {state.message}")
    elif state.is_pending() and datetime.now(UTC) - state.timestamp > CLAIMED:
        client.set_flow_run_state(child.run.id, Crashed(message="no worker began it"), force=True)
    elif state.name == "Late" and not child.is_late:
        child.is_late = True
        log.info("%s waits: %s", child.name, why_it_waits(client, child.run))


def why_it_waits(client: SyncPrefectClient, run: FlowRun) -> str:
    """Which queue a late run is in, and whether anybody takes runs from there. Workers ask every few seconds; of one
    that is gone it is known after a minute or two."""
    where = f"work pool {run.work_pool_name!r}, queue {run.work_queue_name!r}"
    with suppress(httpx.HTTPError, ObjectNotFound):
        queue = client.read_work_queue_by_name(str(run.work_queue_name), work_pool_name=run.work_pool_name)
        return f"{where}: {WAITS[queue.status]}" if queue.status else where
    return where


def _start(deployment: str, name: str, parameters: dict[str, Any], start: int) -> FlowRun:
    """A new run. The key makes a request that was sent twice one run, and a retry of the parent another one."""
    run: FlowRun = run_deployment(  # type: ignore[assignment]
        deployment,
        parameters=parameters,
        flow_run_name=name,
        timeout=0,
        idempotency_key=f"{flow_run.id}/{flow_run.run_count}/{deployment}/{name}/{start}",
    )
    return run


def _under_way(client: SyncPrefectClient, deployment: str) -> Sequence[FlowRun]:
    deployed = client.read_deployment_by_name(deployment)
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployed.id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)),
        )
    )


def _read(client: SyncPrefectClient, children: Sequence[_Child]) -> Sequence[FlowRun]:
    wanted = FlowRunFilterId(any_=[child.run.id for child in children])
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(id=wanted))

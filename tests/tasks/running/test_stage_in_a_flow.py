"""A stage as Prefect runs it: its manifest is the only cache, and nothing that the store holds is ever unpickled."""

from pathlib import Path

import pytest

from infra.store import Ref, Store
from tests.servers import run_python

pytestmark = pytest.mark.integration

FLOW = """
import asyncio
import polars as pl
from flows.round import cpl
from flows.search import cpl_search
from flows.campaign import cpl_campaign
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.types._datetime import now
from tasks.running.stage import _run, stage
from tasks.running.workplace import Workplace

@stage("make_squares", version=1, task_run_name="squares-{name}")
def make_squares(workplace: Workplace, count: int, name: str) -> int:
    workplace.write("squares", pl.DataFrame({"square": [n * n for n in range(count)]}))
    return count

@stage("add_up", version=1)
def add_up(workplace: Workplace, squares: list) -> int:
    return int(sum(workplace.read(one, "squares")["square"].sum() for one in squares))

@flow(persist_result=False)
def inner(count: int):
    return add_up([make_squares(count, name="few"), make_squares(name="many", count=count + 1)])

@flow(persist_result=False)
def outer():
    ref = inner(3)
    with get_client(sync_client=True) as client:
        runs = [r for r in client.read_task_runs() if r.name in ("squares-few", "squares-many") or "add_up" in r.name]
        newest = {r.name.rpartition("-")[0] or r.name: r for r in sorted(runs, key=lambda r: r.start_time)}
        for name in ("squares", "add_up"):
            print(name, newest[name].state_name, sum(map(len, newest[name].task_inputs.values())))
    return ref

async def main():
    begun = now("UTC")
    async with get_events_subscriber(EventFilter(event=EventNameFilter(prefix=["prefect.asset.", "end"]))) as passed_on:
        print((await asyncio.to_thread(outer)).rows)
        end = emit_event("end", {"prefect.resource.id": "end"})
        async for event in passed_on:
            if event.id == end.id:
                break
            if event.occurred > begun:  # a run before this one is told again
                print(event.event.removeprefix("prefect.asset."), event.resource.id, event.resource.name)

asyncio.run(main())
assert all(one.persist_result is False for one in (cpl, cpl_search, cpl_campaign, _run))
"""


def test_a_stage_that_is_done_is_told_as_cached_and_prefect_keeps_no_result(
    store: Store, prefect: dict[str, str], tmp_path: Path
) -> None:
    kept = tmp_path / "results"
    greedy = {"PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true", "PREFECT_LOCAL_STORAGE_PATH": str(kept)}
    (first, told), (again, nothing) = (_parted(run_python(FLOW, prefect | greedy)) for _ in range(2))
    assert first == ["squares Completed 0", "add_up Completed 2", "19"]
    assert again == ["squares Cached 0", "add_up Cached 2", "19"]
    few, many, total = (store.manifest(ref) for ref in _made(store))
    files = {one.prefix: f"{store.uri}{one.prefix}/manifest.json" for one in (few, many, total)}
    made = {f"materialization.succeeded {files[one.prefix]} {one.stage}" for one in (few, many, total)}
    assert sorted(told) == sorted(made | {f"referenced {files[one.prefix]} {one.stage}" for one in (few, many)})
    assert not nothing, "what was found was not made"
    assert {name.split("/")[0] for name in store.names("")} <= {"stages", "objects", "conditions"}
    assert not kept.exists() or not list(kept.iterdir())


def _parted(said: str) -> tuple[list[str], list[str]]:
    """What the flow says of its run, and what Prefect's server passes on of assets meanwhile: not what it writes down,
    which it does later, and may give up where its database is busy."""
    lines = said.splitlines()
    return lines[:3], lines[3:]


def _made(store: Store) -> list[Ref]:
    """The stages of the flow in the order in which they were made."""
    names = [name.removesuffix("/manifest.json") for name in store.names("stages/")]
    found = [ref for name in names if (ref := store.find(name))]
    return sorted(found, key=lambda ref: store.manifest(ref).created_at)


BARS = """
from prefect import flow, task
from prefect.client.orchestration import get_client
from tasks.running.progress import Progress
from tasks.running.stage import stage
from tasks.running.workplace import Workplace

attempts = []

@stage("halves", version=1)
def halves(workplace: Workplace) -> int:
    progress = Progress(workplace.log, "Halving: one half", total=4)
    attempts.append(progress)
    progress.show(4 if len(attempts) > 1 else 2)
    if len(attempts) == 1:
        raise RuntimeError("it is tried again")
    return 0

@flow(persist_result=False)
def twice():
    try:
        halves()
    except RuntimeError:
        halves()
    with get_client(sync_client=True) as client:
        print([(bar.key, bar.data) for bar in client.read_artifacts() if str(bar.key).startswith("halving")])

twice()
"""


def test_work_that_is_tried_again_goes_on_with_its_bar(store: Store, prefect: dict[str, str]) -> None:
    assert run_python(BARS, prefect).splitlines()[-1] == "[('halving-one-half-progress', 100)]"


CURVE = """
from prefect import flow
from prefect.client.orchestration import get_client
from tasks.running.curve import show_curve

@flow(persist_result=False)
def training():
    updates = [{"update": n, "loss": 2.0 - n / 10} for n in range(1, 4)]
    for n in range(1, 4):
        show_curve("step_apo", updates[:n])
    with get_client(sync_client=True) as client:
        curves = [one for one in client.read_artifacts() if one.key == "step-apo-loss"]
        print([(one.key, "| update | 3 |" in one.data) for one in curves])

training()
"""


def test_a_loss_curve_that_grows_is_one_picture_on_the_page(prefect: dict[str, str]) -> None:
    assert run_python(CURVE, prefect).splitlines()[-1] == "[('step-apo-loss', True)]"

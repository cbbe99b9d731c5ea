"""Prefect's results in the object store: a second process finds what the first one computed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import run_python, start_prefect

pytestmark = pytest.mark.integration

FLOW = """
import asyncio, os
from prefect import flow, task
from infra.results import register

assert register() == os.environ["PREFECT_DEFAULT_RESULT_STORAGE_BLOCK"]

def key(_, parameters):
    return f"square/{parameters['n']}"

@task(persist_result=True, result_serializer="json", cache_key_fn=key)
def square(n: int) -> dict:
    return {"square": n * n, "pid": os.getpid()}

@task(persist_result=True, result_serializer="json", cache_key_fn=lambda c, p: f"cube/{p['n']}")
async def cube(n: int) -> dict:
    return {"cube": n**3, "pid": os.getpid()}

@flow
def sync_flow():
    state = square(3, return_state=True)
    print("square", state.name, state.result()["pid"] == os.getpid())

@flow
async def async_flow():
    state = await cube(3, return_state=True)
    print("cube", state.name, (await state.aresult())["pid"] == os.getpid())

sync_flow()
asyncio.run(async_flow())
"""


@pytest.fixture(scope="module")
def servers(weed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with start_prefect(tmp_path_factory.mktemp("results")) as prefect:
        yield weed | prefect | {"PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": "cpl-results/cpl"}


def test_a_second_process_finds_the_results_of_the_first(
    servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_python(FLOW, servers).splitlines() == ["square Completed True", "cube Completed True"]
    assert run_python(FLOW, servers).splitlines() == ["square Cached False", "cube Cached False"]
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    from infra.settings import Settings
    from infra.store import Store

    store = Store.open(Settings(home=tmp_path))
    assert {"results/cube/3", "results/square/3"} <= set(store.names("results/"))
    record = json.loads(store.get("results/square/3"))
    assert record["metadata"]["serializer"]["type"] == "json"
    assert json.loads(record["result"])["square"] == 9


def test_the_server_knows_no_secret(servers: dict[str, str]) -> None:
    code = """
import os, httpx
api = os.environ["PREFECT_API_URL"]
print(httpx.post(f"{api}/block_documents/filter", json={"include_secrets": True}).text)
"""
    run_python("from infra.results import register; register()", servers)
    known = run_python(code, servers)
    assert "cpl-results" in known
    assert servers["AWS_SECRET_ACCESS_KEY"] not in known
    assert servers["AWS_ACCESS_KEY_ID"] not in known

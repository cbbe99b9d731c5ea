"""What a run leaves behind in the UI and in the store, told in sentences."""

import json
from typing import Any

import pytest

from infra.store import Store, rounds
from tests.servers import run_python

pytestmark = pytest.mark.integration

FLOW = """
import json
import time
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, LogFilter
from prefect.client.schemas.sorting import FlowRunSort
from infra.store.rounds import Title
from infra.store.s3 import StoreDown
from infra.environment import environment
from infra.store import Store
from tasks.running.record import recorded
from tasks.running.sentence import tell_errors_in_a_sentence
from tasks.running.stage import stage
from tasks.running.workplace import Workplace

class Told(RuntimeError):
    pass

Told.__module__ = "tasks.running.parts"

@stage("lose", version=1)
def lose(workplace: Workplace) -> int:
    {body}
    return 0

def away(*_):
    raise StoreDown("the store is away")

def lose_the_store():
    for method in ("put", "get", "read"):
        setattr(Store, method, away)

@flow(persist_result=False)
def round():
    tell_errors_in_a_sentence()
    with recorded(Title(campaign="mine", round=3)):
        lose()
        {after}

try:
    round()
except Exception:
    pass
time.sleep(3)  # the logs and the artifact are sent behind
with get_client(sync_client=True) as client:
    (run,) = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
    of_it = {{"flow_run_id": {{"any_": [run.id]}}}}
    logs = [log.message for log in client.read_logs(LogFilter(**of_it)) if log.level >= 40]
    artifacts = [artifact.data for artifact in client.read_artifacts(artifact_filter=ArtifactFilter(**of_it))]
print(json.dumps([run.name, run.state.type, logs, artifacts]))
"""


def told(prefect: dict[str, str], body: str = "pass", after: str = "pass") -> Any:
    """Name and state of the flow run, its error messages, its artifacts."""
    return json.loads(run_python(FLOW.format(body=body, after=after), prefect).splitlines()[-1])


def test_a_failed_run_says_why_in_one_sentence(store: Store, prefect: dict[str, str]) -> None:
    name, state, logs, artifacts = told(prefect, "raise Told('no question could be read; map the column')")
    assert (name, state) == ("mine-round-3", "FAILED")
    sentence = "Told: no question could be read; map the column"
    assert logs.count(sentence) == 1
    assert not any("Traceback" in message for message in logs)
    assert any(sentence in artifact and "Retry" in artifact for artifact in artifacts)
    record = rounds.read_record(store, "mine", 3)
    assert record is not None
    assert (record["state"], record["error"]) == ("failed", sentence)
    assert rounds.last_run(store) == ("mine", 3)
    assert rounds.last_run(store, completed=True) is None


def test_an_error_that_surprises_keeps_its_trace(store: Store, prefect: dict[str, str]) -> None:
    _, _, logs, artifacts = told(prefect, "raise KeyError('oops')")
    assert any("Traceback" in message and "in lose" in message for message in logs)
    assert any("KeyError: 'oops'" in artifact for artifact in artifacts)


def test_with_the_store_down_the_real_error_is_told(store: Store, prefect: dict[str, str]) -> None:
    _, state, logs, _ = told(prefect, after="lose_the_store(); raise Told('the real one')")
    assert state == "FAILED"
    assert "Told: the real one" in logs
    assert not any("away" in message for message in logs)


def test_with_the_store_down_a_published_round_stays_one(store: Store, prefect: dict[str, str]) -> None:
    _, state, logs, _ = told(prefect, after="lose_the_store()")
    assert (state, logs) == ("COMPLETED", [])
    assert rounds.last_run(store) is None

"""What Prometheus is told of the stack: runs, stages and engines, each once; and the dashboard that asks for it."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.environment import ROOT
from infra.stack import api
from infra.stack.metrics import FILE, OF_ENGINE, Metrics
from infra.stack.process import Daemon

KEY = "only-for-who-asks-with-it"
GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
OF_VLLM = "".join(
    f'# TYPE {name} gauge\n{name}{{engine="0"}} 7.0\n'
    if name in GAUGES
    else f'# TYPE {name}_total counter\n{name}_total{{engine="0"}} 7.0\n'
    for name in (*OF_ENGINE, "vllm:corrupted_requests")
)


RUNNING = ("069281b5-6f0e-7a31-8000-4f2a90c1d7e3", "069281b5-6f0e-7a31-8000-b81c33a05f94")
LATE = ("069281b5-6f0e-7a31-8000-000000000001", "069281b5-6f0e-7a31-8000-000000000002")


class Server:
    """A Prefect server that knows two running rounds of one name, each with two bars, and what ended."""

    def __init__(self) -> None:
        self.ended: dict[str, list[dict[str, Any]]] = {"/flow_runs/filter": [], "/task_runs/filter": []}
        self.is_away = False

    def ask(self, _: Path, __: str, path: str, document: dict[str, Any]) -> Any:
        if self.is_away:
            raise httpx.ConnectError("away")
        if path == "/artifacts/filter":
            return [
                {"flow_run_id": run, "key": f"{what}-progress", "data": share}
                for run, share in zip(RUNNING, (25.0, 75.0), strict=True)
                for what in ("search-of-trees", "sft")
            ]
        if "sort" not in document:
            states = dict.fromkeys(RUNNING, ("Running", "RUNNING")) | dict.fromkeys(LATE, ("Late", "SCHEDULED"))
            return [
                {"id": run, "name": "micro-round-1", "state_name": name, "state_type": kind}
                for run, (name, kind) in states.items()
            ]
        return self.ended[path][document["offset"] :][: document["limit"]]

    def end(self, path: str, name: str, state: str, seconds: float = 0.0, ago: float = 0.0) -> None:
        moment = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
        one = {"id": f"{name}-{len(self.ended[path])}", "name": name, "dynamic_key": "cf3d-9a", "state_name": state}
        self.ended[path].insert(0, one | {"end_time": moment, "total_run_time": seconds})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(api, "ask", server.ask)

    def get(url: str, headers: dict[str, str], **_: Any) -> httpx.Response:
        known = headers == {"Authorization": f"Bearer {KEY}"}
        return httpx.Response(200 if known else 401, text=OF_VLLM * known, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    return server


@pytest.fixture
def metrics(tmp_path: Path, server: Server) -> Metrics:
    for place in ("engine", "value/engine"):
        file = tmp_path / place / "engine.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"pid": 1, "born": "", "url": "http://127.0.0.1:1", "key": KEY, "signature": ""}))
    return Metrics(tmp_path, {"worker": Daemon("worker", tmp_path)})


def told(metrics: Metrics, folder: Path) -> dict[tuple[str, ...], float]:
    """What the file says: values by name and labels. A reader refuses a file with two of a kind."""
    metrics.write(folder)
    text = (folder / FILE).read_text()
    assert KEY not in text
    types = re.findall(r"(?m)^# TYPE (\S+)", text)
    assert len(types) == len(set(types))
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    return {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_what_is_so_now_is_told_by_state_part_and_engine(metrics: Metrics, tmp_path: Path) -> None:
    found = told(metrics, tmp_path / "out")
    assert (found["cpl_flow_runs", "Running"], found["cpl_flow_runs", "Late"]) == (2, 2)
    shares = [found["cpl_progress_ratio", run[-8:], "micro-round-1", "search-of-trees"] for run in RUNNING]
    assert shares == [0.25, 0.75]
    assert found["cpl_part_up", "worker"] == 0
    assert found["cpl_free_bytes",] > 0
    assert [found["vllm:generation_tokens_total", "0", one] for one in ("engine", "value/engine")] == [7.0, 7.0]


def test_what_ended_is_counted_once_however_often_it_is_seen_and_however_late(
    metrics: Metrics, server: Server, tmp_path: Path
) -> None:
    server.end("/task_runs/filter", "search-trees", "Completed", seconds=99.0, ago=60)  # before anybody counted
    assert ("cpl_stages_ended_total", "search-trees", "Completed") not in told(metrics, tmp_path)
    for _ in range(250):
        server.end("/task_runs/filter", "search-trees", "Completed", seconds=2.0)
    server.end("/task_runs/filter", "questions-cf3", "Cached")
    server.end("/flow_runs/filter", "cpl", "Failed")
    for _ in range(2):
        found = told(metrics, tmp_path)
        assert found["cpl_stages_ended_total", "search-trees", "Completed"] == 250
        assert found["cpl_stage_seconds_total", "search-trees", "Completed"] == 500.0
        assert found["cpl_stages_ended_total", "questions", "Cached"] == 1
        assert found["cpl_flow_runs_ended_total", "Failed"] == 1
    server.is_away = True
    away = told(metrics, tmp_path)
    assert away["cpl_stages_ended_total", "search-trees", "Completed"] == 250
    assert ("cpl_flow_runs", "Running") not in away
    server.is_away = False
    server.end("/task_runs/filter", "search-trees", "Completed", seconds=1.0)
    assert told(metrics, tmp_path)["cpl_stage_seconds_total", "search-trees", "Completed"] == 501.0


def test_the_dashboard_asks_for_what_is_told_and_for_all_of_it(
    metrics: Metrics, server: Server, tmp_path: Path
) -> None:
    told(metrics, tmp_path)
    server.end("/task_runs/filter", "search-trees", "Completed")
    server.end("/flow_runs/filter", "cpl", "Completed")
    part = metrics.parts["worker"]
    part.start(["sleep", "60"], {}, tmp_path)
    known = {name for name, *_ in told(metrics, tmp_path)}
    part.end()
    board = json.loads((ROOT / "infra" / "grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert {name for query in asked for name in re.findall(r"\b(?:cpl_|vllm:)\w+", query)} == known
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])

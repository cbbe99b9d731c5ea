"""Metrics of the stack for Prometheus, as a file for the node exporter's textfile collector (`CPL_METRICS`).

The watch writes it. Prefect's server counts its own process only, so its runs and tasks are asked for here. Of each
local engine what vLLM says of itself is handed on: its port and its key change with every start.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client import CollectorRegistry, Counter, Metric, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from infra.certificates import certificates
from infra.contract.engine_file import EngineFile, engines_of
from infra.stack import api
from infra.stack.process import Daemon

FILE = "cpl.prom"
WRITE_SECONDS = 30.0
PAGE = 200
"""Runs that Prefect's server gives at once."""
LATE = timedelta(minutes=2)
SECONDS = 2.0
"""That an engine gets to answer."""
ID_TAIL = 8
"""Last characters of a flow run's id, which tell it from another of its name."""

OF_ENGINE = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:prefix_cache_queries",
    "vllm:prefix_cache_hits",
    "vllm:num_preemptions",
    "vllm:prompt_tokens",
    "vllm:generation_tokens",
)
"""Metrics of vLLM, by family, that are handed on with the label `engine_folder`."""


disable_created_metrics()  # type: ignore[no-untyped-call] # as many lines again, of when counting began


class Metrics:
    """Of the stack in `home`. Counters count from when this was made: Prometheus takes a new beginning for what it is.

    `registry.collect()` asks the server and the engines. What does not answer is left out.
    """

    def __init__(self, home: Path, parts: Mapping[str, Daemon]) -> None:
        self.home, self.parts = home, parts
        self._made = self._looked = datetime.now(UTC)
        self._counted = set[str]()
        self.registry = CollectorRegistry()
        self._runs = Counter("cpl_flow_runs_ended", "Flow runs that ended.", ["state"], registry=self.registry)
        of = ["stage", "state"]
        self._stages = Counter("cpl_stages_ended", "Stages (tasks) that ended.", of, registry=self.registry)
        self._seconds = Counter("cpl_stage_seconds", "Seconds that ended stages ran.", of, registry=self.registry)
        self.registry.register(self)

    def write(self, folder: Path) -> None:
        """Writes the file anew, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        self._count()
        write_to_textfile(str(folder / FILE), self.registry)

    def collect(self) -> Iterator[Metric]:
        """What is so now."""
        free = GaugeMetricFamily("cpl_free_bytes", "Room on the disk of CPL_HOME, where the local store lies, too.")
        free.add_metric([], psutil.disk_usage(str(self.home)).free)
        yield free
        yield from self._of_parts()
        yield from self._of_runs()
        yield from self._of_engines()

    def describe(self) -> list[Metric]:
        return []  # registering asks nobody yet

    def _of_parts(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("cpl_part_up", "Whether a part of the stack runs.", labels=["part"])
        memory = GaugeMetricFamily("cpl_part_memory_bytes", "Resident memory of its own process.", labels=["part"])
        busy = CounterMetricFamily("cpl_part_cpu_seconds", "Of its own process.", labels=["part"])
        for name, part in self.parts.items():
            process = part.process()
            up.add_metric([name], float(process is not None))
            if process is not None:
                times = process.cpu_times()
                memory.add_metric([name], process.memory_info().rss)
                busy.add_metric([name], times.user + times.system)
        yield from (up, memory, busy)

    def _of_runs(self) -> Iterator[Metric]:
        """Flow runs that are not over, by the name of their state, and how far their stages are."""
        alive = {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]}
        try:
            runs = self._ask("/flow_runs/filter", flow_runs={"state": {"type": alive}}, limit=PAGE)
            running = {run["id"]: run["name"] for run in runs if run["state_type"] == "RUNNING"}
            shown = {"flow_run_id": {"any_": list(running)}, "type": {"any_": ["progress"]}}
            bars = self._ask("/artifacts/filter", artifacts=shown, limit=PAGE) if running else []
        except httpx.HTTPError:
            return
        states = [run["state_name"] for run in runs]
        counted = GaugeMetricFamily("cpl_flow_runs", "Flow runs that are not over.", labels=["state"])
        for state in sorted({*states, "Running", "Late"}):
            counted.add_metric([state], states.count(state))
        labels = ["run", "flow_run", "work"]
        progress = GaugeMetricFamily("cpl_progress_ratio", "Share of a stage that is done.", labels=labels)
        for bar in bars:
            run, work = bar["flow_run_id"], bar["key"].removesuffix("-progress")
            progress.add_metric([running[run], run[-ID_TAIL:], work], bar["data"] / 100)
        yield from (counted, progress)

    def _of_engines(self) -> Iterator[Metric]:
        """One family of each name, whatever many engines tell of it: a reader refuses a file that has two."""
        families: dict[str, Metric] = {}
        for folder, engine in engines_of(self.home):
            for family in of_engine(folder, engine):
                first = families.setdefault(family.name, family)
                if first is not family:
                    first.samples += family.samples
        yield from families.values()

    def _count(self) -> None:
        """Counts what ended since it was last asked. The server writes down the end of a task some seconds late."""
        began = self._looked - LATE
        now, since = datetime.now(UTC), {"end_time": {"after_": began.isoformat()}}
        try:
            runs = self._ended("/flow_runs/filter", flow_runs=since)
            tasks = self._ended("/task_runs/filter", task_runs=since)
        except httpx.HTTPError:
            return
        fresh = {one["id"] for one in (*runs, *tasks) if datetime.fromisoformat(one["end_time"]) >= self._made}
        fresh -= self._counted
        for run in (one for one in runs if one["id"] in fresh):
            self._runs.labels(run["state_name"]).inc()
        for task in (one for one in tasks if one["id"] in fresh):
            # Of a task without a title Prefect made it unlike all others.
            stage = task["name"].removesuffix(f"-{task['dynamic_key'][:3]}")
            self._stages.labels(stage, task["state_name"]).inc()
            self._seconds.labels(stage, task["state_name"]).inc(task["total_run_time"])
        self._counted = {one["id"] for one in (*runs, *tasks)}
        self._looked = now

    def _ended(self, path: str, **wanted: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(page := self._ask(path, **wanted, sort="END_TIME_DESC", limit=PAGE, offset=len(found))) == PAGE:
            found += page
        return found + page

    def _ask(self, path: str, **document: Any) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = api.ask(self.home, "POST", path, document)
        return answer


def of_engine(folder: str, engine: EngineFile) -> Iterator[Metric]:
    """What vLLM says of an engine; nothing where it does not answer."""
    try:
        authorized = {"Authorization": f"Bearer {engine.key}"}
        reply = httpx.get(
            f"{engine.url}/metrics", headers=authorized, timeout=SECONDS, trust_env=False, verify=certificates()
        )
        found = text_string_to_metric_families(reply.raise_for_status().text)
    except httpx.HTTPError:
        return
    for family in found:
        if family.name in OF_ENGINE:
            handed_on = Metric(family.name, family.documentation, family.type)
            for one in family.samples:
                handed_on.add_sample(one.name, one.labels | {"engine_folder": folder}, one.value)
            yield handed_on

"""What one phase of a benchmark cost: wall clock, tokens, CPU seconds of client, engine and others, batches."""

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import httpx
import psutil

from infra.engine import Engine
from infra.engine.connections import bearer

COUNTERS = {
    "running_seconds": "vllm:request_inference_time_seconds_sum",
    "waiting_seconds": "vllm:request_queue_time_seconds_sum",
    "steps": "vllm:iteration_tokens_total_count",
    "preemptions": "vllm:num_preemptions_total",
    "looked_up": "vllm:prefix_cache_queries_total",
    "found": "vllm:prefix_cache_hits_total",
}
"""Of the engine's metrics; seconds are summed over finished sequences, the last two count tokens of prompts."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one phase.

    `busy_share`: of the time, with a request in flight. `*_cpu` in seconds: this process, the engine's processes (0
    when somebody else runs it), and all the rest of the machine, which is what disturbs a benchmark. `running`,
    `waiting`: mean sequences in the engine's batch and in its queue. `steps`: forward passes.
    """

    seconds: float
    requests: int
    failed_requests: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    busy_share: float
    client_cpu: float
    engine_cpu: float
    other_cpu: float
    running: float
    waiting: float
    steps: float
    preemptions: float
    cache_hit_share: float


class Meter:
    """Measures from when it is made to `read`. `engine_pids`: the local engines' first processes, if any; `key`: that
    they ask for."""

    def __init__(self, engine: Engine, engine_pids: Sequence[int], key: str | None) -> None:
        self._engine = engine
        self._key = key
        self._engine_pids = engine_pids
        self._usage = asdict(engine.usage)
        self._counters = self._read_counters()
        self._load = engine.load
        self._cpu = self._read_cpu()
        self._started = time.monotonic()

    def read(self) -> Cost:
        seconds = time.monotonic() - self._started
        client, ours, everybody = (now - then for now, then in zip(self._read_cpu(), self._cpu, strict=True))
        load = self._engine.load
        counters = {name: now - self._counters[name] for name, now in self._read_counters().items()}
        used = {name: now - self._usage[name] for name, now in asdict(self._engine.usage).items()}
        return Cost(
            seconds=seconds,
            requests=used["requests"],
            failed_requests=used["failed_requests"],
            prompt_tokens=used["prompt_tokens"],
            cached_tokens=used["cached_tokens"],
            generated_tokens=used["generated_tokens"],
            busy_share=(load.busy_seconds - self._load.busy_seconds) / (load.seconds - self._load.seconds),
            client_cpu=client,
            engine_cpu=ours,
            other_cpu=everybody - client - ours,
            running=counters["running_seconds"] / seconds,
            waiting=counters["waiting_seconds"] / seconds,
            steps=counters["steps"],
            preemptions=counters["preemptions"],
            cache_hit_share=used["cached_tokens"] / used["prompt_tokens"],
        )

    def _read_counters(self) -> dict[str, float]:
        asked = [
            httpx.get(f"{address}/metrics", trust_env=False, headers=bearer(self._key))
            for address in self._engine.addresses
        ]
        pages = [one.raise_for_status().text for one in asked]
        return {name: sum(_sum(page, counter) for page in pages) for name, counter in COUNTERS.items()}

    def _read_cpu(self) -> tuple[float, float, float]:
        """CPU seconds so far of this process, of the engines', and of the whole machine."""
        engines = [psutil.Process(pid) for pid in self._engine_pids]
        processes = [one for engine in engines for one in (engine, *engine.children(recursive=True))]
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "steal", 0.0)
        return _cpu(psutil.Process()), sum(map(_cpu, processes)), busy


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _sum(page: str, counter: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{counter}(?:{{.*}})? (\S+)$", page, re.MULTILINE))

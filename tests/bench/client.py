"""`make bench-client`: how many expansions one search process can ask for, whatever engines it has.

The stage `search` with the product's own policy, client, parser, answer check, parts and tables; behind it an engine
in another process that answers at once (tests/bench/scripted_server.py). So what limits it is this process.

    expansions_per_cpu_s  of this process: what one core would do, the engine's and the check's processes apart
    expansions_per_s      by the clock, of which other processes on few cores take their share
    us_by_part            CPU microseconds an expansion, by where this process was found every 2 ms of its CPU time

The trees are CPL's: 5 children at the root, 3 elsewhere, depth 6 (methods.md 1.3). Aim: 1,500 expansions/s on a core.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import polars as pl
import psutil

from infra.contract.model_folder import ValueWords
from infra.engine import Engine
from infra.store import Ref
from tasks.language.format import PLANS
from tasks.micro.world import generate
from tasks.running.prompts import Prompts
from tasks.running.served import ServedPolicy
from tasks.running.workplace import code_version
from tasks.settings import Search
from tasks.stages.search import search
from tests.bench.models import BUILD, prepared
from tests.bench.report import deviation
from tests.bench.scripted_server import scripted_server
from tests.bench.stage import FolderStage

SETTINGS = Search(simulations=200)
AIM = 1500.0
SAMPLE_SECONDS = 0.002
SEATS = 4096
PARTS = {
    "parse": ("infra/engine/reply.py",),
    "request": ("infra/engine/", "site-packages/aiohttp"),
    "check": ("tasks/check/",),
    "write": ("tasks/running/parts.py", "tasks/records.py", "tasks/running/workplace.py", "tests/bench/stage.py"),
    "tree": ("tasks/search/", "tasks/language/"),
    "prompt": ("tasks/running/",),
}
"""By files of the innermost frame that is in one of them; what is in none is the event loop's."""


class Questions(FolderStage):
    """As many questions of the micro world as there are trees."""

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        problems = generate("train", self.trees, seed=1)
        return pl.DataFrame(
            {
                "question_id": [f"question-{number}" for number in range(self.trees)],
                "question": [problem.question for problem in problems],
                "answer": [problem.answer for problem in problems],
                "source": "micro",
                "option": pl.Series([None] * self.trees, dtype=pl.String),
                "is_exact": True,
                "is_held_out": False,
            }
        )


@contextmanager
def watched() -> Iterator[Counter[str]]:
    """Where this process spends its CPU time: samples by part."""
    found: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            file = frame.f_code.co_filename
            if part := next((name for name, files in PARTS.items() if any(one in file for one in files)), None):
                found[part] += 1
                return
            frame = frame.f_back
        found["event loop"] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def once(folder: Path, address: str, trees: int) -> dict[str, Any]:
    """One stage of so many trees, from its questions to its tables."""
    room = BUILD / "client"
    shutil.rmtree(room, ignore_errors=True)
    stage = Questions(room, trees, most=float(1 << 33))
    nothing = Ref(uri="s3://none/manifest.json", sha256="0" * 64, rows=0)

    @asynccontextmanager
    async def served(*_: Any) -> AsyncIterator[tuple[ServedPolicy, None]]:
        prompts = Prompts.read(folder, PLANS)
        vocabulary = prompts.tokenizer.get_vocab_size()
        async with Engine([address], ValueWords.read(folder), vocabulary, seats=SEATS) as engine:
            yield ServedPolicy(engine, prompts), None

    with ExitStack() as patched:
        patched.enter_context(patch("tasks.stages.search.serve_both", served))
        patched.enter_context(patch("tasks.running.parts.Progress"))
        samples = patched.enter_context(watched())
        cpu, began = time.process_time(), time.perf_counter()
        search.body(stage, nothing, nothing, "search", SETTINGS)
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    if stage.facts["failed"]:
        raise RuntimeError(f"{stage.facts['failed']} trees failed")
    expansions = stage.facts["expansions"]
    whole = sum(samples.values())
    return {
        "expansions": expansions,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "expansions_per_s": expansions / seconds,
        "expansions_per_cpu_s": expansions / cpu,
        "us_by_part": {name: 1e6 * cpu * count / whole / expansions for name, count in samples.most_common()},
    }


def summed(found: list[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(found), "spread": deviation(found) or 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-client", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the replies; default: %(default)s")
    parser.add_argument("--output", type=Path, default=BUILD / "client.json", help="default: %(default)s")
    given = parser.parse_args()
    folder = prepared("micro", BUILD / "models")
    with scripted_server(folder, given.seed) as address:
        runs = [once(folder, address, given.trees) for _ in range(given.repeats)]
    rates = {name: [run[name] for run in runs] for name in ("expansions_per_cpu_s", "expansions_per_s")}
    parts = {name: [run["us_by_part"].get(name, 0.0) for run in runs] for name in (*PARTS, "event loop")}
    report = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "cpu": psutil.cpu_percent(interval=1.0)},
        "trees": given.trees,
        **{name: summed(found) for name, found in rates.items()},
        "us_by_part": {name: summed(found) for name, found in parts.items()},
        "aim": AIM,
        "runs": runs,
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(report, indent=1) + "\n")
    reached = report["expansions_per_cpu_s"]
    print(f"{given.trees} trees, {runs[0]['expansions']} expansions, {given.repeats} runs")
    print(f"  expansions a CPU second  {reached['mean']:,.0f} ± {reached['spread']:.0f}   (aim {AIM:,.0f})")
    print(f"  expansions a second      {report['expansions_per_s']['mean']:,.0f}")
    for name, found in sorted(report["us_by_part"].items(), key=lambda item: -item[1]["mean"]):
        print(f"  {name:22} {found['mean']:6.0f} ± {found['spread']:.0f} us an expansion")
    print(f"written to {given.output}")


if __name__ == "__main__":
    main()

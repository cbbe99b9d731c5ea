"""`make bench-evaluation`: what evaluation adds to the time that the engine needs for the same tokens.

    evaluation   the stage `evaluate` between its first request and its last part: admission, answer check, parts
    tables       what the stage does after that, once: its tables and its scores
    bare         the very requests of a turn before, posted all at once over aiohttp, whose replies nobody reads

Greedily decoded micro/test on one engine that is up, its prefix cache of no use to either. The two by turns. Aim: the
stage's seconds are at most 1.10 times the bare client's.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import polars as pl

from infra.engine import Engine, serving
from infra.environment import environment
from infra.store import Ref
from tasks.language.format import PLANS
from tasks.questions import content_of, load_all, source_of
from tasks.running.prompts import Prompts
from tasks.running.served import ServedPolicy
from tasks.running.workplace import bundle, code_version
from tasks.settings import Evaluation
from tasks.stages.evaluate import evaluate
from tests.bench.lockstep import ForgetfulEngine
from tests.bench.models import BUILD, engines_of_our_own, prepared
from tests.bench.report import deviation
from tests.tasks.running.local_stage import LocalStage

AIM = 1.10
NOTHING = Ref(uri="s3://none/manifest.json", sha256="0" * 64, rows=0)


class Recording(ForgetfulEngine):
    """Keeps the requests that it sends."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.sent: list[dict[str, Any]] = []

    async def _post(self, address: str, request: dict[str, Any]) -> bytes:
        self.sent.append(request)
        return await super()._post(address, request)


class Benchmarks(LocalStage):
    def __init__(self, folder: Path, rows: pl.DataFrame) -> None:
        super().__init__(folder)
        self.rows = rows

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        return self.rows

    def keep_parts(self, parts: Mapping[str, bytes]) -> None:
        """As one object, which here is a file."""
        (self.folder / f"{time.time_ns()}.parts").write_bytes(bundle(parts))


def evaluated(folder: Path, rows: pl.DataFrame, settings: Evaluation) -> tuple[float, float, list[dict[str, Any]]]:
    """Seconds of the answers, seconds of the tables after them, and the requests."""
    room = BUILD / "evaluation"
    shutil.rmtree(room, ignore_errors=True)
    ends: list[float] = []
    sent: list[dict[str, Any]] = []

    @asynccontextmanager
    async def served(*_: Any) -> AsyncIterator[tuple[ServedPolicy, None]]:
        async with serving(folder, environment()) as engine:
            recording = Recording(engine)
            ends.append(time.perf_counter())
            yield ServedPolicy(recording, Prompts.read(folder, PLANS)), None
            ends.append(time.perf_counter())
            sent.extend(recording.sent)
        ends.append(time.perf_counter())

    with patch("tasks.stages.evaluate.serve_both", served), patch("tasks.running.parts.Progress"):
        evaluate.body(Benchmarks(room, rows), NOTHING, "base", NOTHING, settings)
    begun, answered, left = ends
    return answered - begun, time.perf_counter() - left, sent


async def bare(folder: Path, requests: list[dict[str, Any]]) -> float:
    """Seconds until the engine has answered them all."""
    async with serving(folder, environment()) as engine:
        (address,) = engine.addresses
        begun = time.perf_counter()
        await asyncio.gather(*(engine._post(address, request | {"cache_salt": uuid4().hex}) for request in requests))
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=5, help="default: %(default)s")
    given = parser.parse_args()
    folder = prepared("micro", BUILD / "models")
    settings = Evaluation(benchmarks=("micro/test",), count=given.questions)
    contents = {name: content_of(*source_of(name)) for name in settings.benchmarks}
    rows = load_all(["micro"], contents, settings).sampled
    turns = []
    with engines_of_our_own():
        _, _, requests = evaluated(folder, rows, settings)  # starts the engine, and is not counted
        for turn in range(given.turns):
            first = asyncio.run(bare(folder, requests)) if turn % 2 else None
            answers, tables, _ = evaluated(folder, rows, settings)
            seconds = asyncio.run(bare(folder, requests)) if first is None else first
            ratio = (answers + tables) / seconds
            turns.append({"evaluation": answers, "tables": tables, "bare": seconds, "ratio": ratio})
            print(json.dumps(turns[-1]), flush=True)
    told = {
        name: {"mean": statistics.fmean(turn[name] for turn in turns), "spread": deviation([t[name] for t in turns])}
        for name in turns[0]
    }
    report = {
        "code": code_version(),
        "cores": os.cpu_count(),
        "questions": rows.height,
        "aim": AIM,
        **told,
        "turns": turns,
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    for name, one in told.items():
        print(f"  {name:12} {one['mean']:7.2f} ± {one['spread'] or 0:.2f}")


if __name__ == "__main__":
    main()

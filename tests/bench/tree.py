"""`make bench-tree`: what the search costs without an engine, in one process on one core.

    steps   select-expand-backup steps a CPU second of the pure tree, children given
    memory  growth of the stage `search` over many trees of 200 expansions: scripted policy, the product's driver,
            its parts on a local disk, its tables
    nodes   seconds in which a million rows of table `nodes` become a Parquet file

Each runs in a fresh process. The trees are CPL's: 5 children at the root, 3 elsewhere, depth 6 (methods.md 1.3).
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tasks.records import frame
from tasks.running.workplace import code_version
from tasks.search.actions import draws, no_offers
from tasks.search.grow import Task, grow, judged
from tasks.search.method import Draw
from tasks.search.puct import Puct
from tasks.search.tree import Child, Tree
from tasks.settings import Search
from tests.bench.script import STEP_TOKENS, Script
from tests.bench.stage import FolderStage, search_stage

BUILD = Path("build/bench")
SETTINGS = Search(simulations=200)
MEBIBYTE = 1 << 20


def steps(seed: int, trees: int = 500, repeats: int = 5) -> dict[str, Any]:
    """Trees of 200 expansions, one after the other; a step selects a leaf, adds its children and backs up."""
    ready = asyncio.run(_children(Script(seed)))
    rates: list[float] = []
    for _ in range(repeats):
        done = 0
        started = time.process_time()
        for number in range(trees):
            search = Puct(
                Tree("", (number,)),
                draws(SETTINGS, no_offers),
                simulations=SETTINGS.simulations,
                c=SETTINGS.c_puct,
                seed=str(number),
                enough_right=0,
                hopeless_after=0,
            )
            while (ask := search.ask()) is not None:
                at_depth = ready[ask.node.depth]
                search.take(ask, at_depth[(number + hash(ask.node.action.token_ids)) % len(at_depth)])
            done += search.expansions
        rates.append(done / (time.process_time() - started))
    expanded = [node.depth for node in search.tree.nodes if node.is_expanded]
    return {
        "steps_per_s": statistics.fmean(rates),
        "spread": statistics.stdev(rates),
        "repeats": repeats,
        "steps": done,
        "expansions_a_tree": done / trees,
        "mean_depth": statistics.fmean(expanded),
        "deepest": max(node.depth for node in search.tree.nodes),
    }


async def _children(script: Script, states: int = 2_000) -> list[list[list[Child]]]:
    """Ready children of `states` states of each depth: parsing and judging are no part of a step."""

    async def ready(depth: int, state: int) -> list[Child]:
        draw = Draw(SETTINGS.children if depth else SETTINGS.root_children)
        samples = script.actions((state,) * (1 + depth * STEP_TOKENS), draw.n)
        return [await judged(sample, draw, depth, _never, SETTINGS) for sample in samples]

    return [[await ready(depth, state) for state in range(states)] for depth in range(SETTINGS.max_depth + 1)]


async def _never(answer: str) -> bool:
    return False


def memory(seed: int, trees: int, most_mib: float) -> dict[str, Any]:
    """Growth of this process's resident memory, at its peak and at the end of each part of the stage."""
    script = Script(seed)
    folder = BUILD / "stage"
    shutil.rmtree(folder, ignore_errors=True)
    workplace = FolderStage(folder, trees, most_mib * MEBIBYTE)
    started = time.monotonic()
    problem: str | None = None
    try:
        search_stage(workplace, script, SETTINGS)
    except* MemoryError as group:
        problem = str(group.exceptions[0])
    report = {
        "trees": trees,
        "finished_trees": workplace.kept,
        "stopped": problem,
        "expansions": workplace.facts.get("expansions"),
        "growth_mib": workplace.peak / MEBIBYTE,
        "growth_when_grown_mib": workplace.when_grown / MEBIBYTE,
        "kept_mib": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MEBIBYTE,
        "seconds": time.monotonic() - started,
        "nodes_sha256": workplace.digest("nodes"),
    }
    shutil.rmtree(folder)
    return report


def nodes(seed: int, rows: int = 1_000_000) -> dict[str, Any]:
    """Rows of grown trees to a typed frame, and the frame to a file (zstd)."""
    script = Script(seed)

    async def grown() -> list[dict[str, Any]]:
        script.open()
        found: list[dict[str, Any]] = []
        while len(found) < rows:
            number = len(found)
            task = Task(question_id=str(number), question="", prompt_ids=(number,), judge=_never, simulations=200)
            found += (await grow(task, script, SETTINGS)).node_rows
        return found[:rows]

    given = asyncio.run(grown())
    path = BUILD / "nodes.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    table = frame("nodes", given)
    framed = time.perf_counter()
    table.write_parquet(path, compression="zstd")
    written = time.perf_counter()
    size = path.stat().st_size
    path.unlink()
    return {
        "rows": table.height,
        "seconds": written - started,
        "frame_seconds": framed - started,
        "write_seconds": written - framed,
        "file_mib": size / MEBIBYTE,
        "frame_mib": table.estimated_size() / MEBIBYTE,
    }


def in_a_fresh_process(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-tree", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=int, default=10_000, help="of the memory benchmark; default: %(default)s")
    parser.add_argument(
        "--most-mib",
        type=float,
        default=4096,
        help="memory: stop when the process has grown by this much, MiB; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the scripted policy; default: %(default)s")
    parser.add_argument("--output", type=Path, default=BUILD / "tree.json", help="default: %(default)s")
    given = parser.parse_args()

    busy = psutil.cpu_percent(interval=1.0)
    report: dict[str, Any] = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "busy_before_percent": busy},
        "seed": given.seed,
    }
    report["steps"] = one = in_a_fresh_process(steps, given.seed)
    print(
        f"steps   {one['steps_per_s']:,.0f} ± {one['spread']:,.0f} a second (aim 200,000): {one['steps']:,} steps, "
        f"{one['repeats']} repeats, mean depth {one['mean_depth']:.1f}, deepest {one['deepest']}",
        flush=True,
    )
    report["nodes"] = one = in_a_fresh_process(nodes, given.seed)
    print(
        f"nodes   {one['rows']:,} rows in {one['seconds']:.1f} s (aim 10 s): {one['frame_seconds']:.1f} s to a frame "
        f"of {one['frame_mib']:.0f} MiB, {one['write_seconds']:.1f} s to a file of {one['file_mib']:.0f} MiB",
        flush=True,
    )
    report["memory"] = one = in_a_fresh_process(memory, given.seed, given.trees, given.most_mib)
    print(
        f"memory  grew by {one['growth_mib']:,.0f} MiB at most, {one['growth_when_grown_mib']:,.0f} MiB when the last "
        f"tree was kept (aim 1,024 for 10,000 trees): {one['finished_trees']:,} of {one['trees']:,} trees of 200 "
        f"expansions, {one['seconds']:.0f} s" + (f"; stopped: {one['stopped']}" if one["stopped"] else "")
    )
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written to {given.output}")


if __name__ == "__main__":
    main()

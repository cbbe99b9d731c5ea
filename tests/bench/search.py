"""`make bench-search`: how near our search comes to what the engine can do, and how far from lockstep it is.

For each model on one engine, in turn and `--repeats` times, each from an empty prefix cache:

    search      the product's own search
    lockstep    the same search as public CPL code schedules it, the value asked apart (tests/bench/lockstep.py)
    uncached    lockstep with no prefix cache, which the public code did without
    one by one  the search's completions again, all at once, each a request with the length that it had
    in groups   the search's requests again, all at once, each with the mean length of its completions

The last two (tests/bench/replay.py) are the engine's own limit for this work, whichever is faster: the first has the
very lengths but more requests, which costs a small model more than its tokens, the second the very requests.
search_vs_limit is the limit's time over search's; search_vs_lockstep is expansions/s of search over lockstep's.
Starting the engine is not counted. Keep the machine quiet: what others use of its CPUs is shown, as it spoils the
numbers.
"""

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from infra.engine import Engine, serving
from infra.engine.connections import bearer
from infra.engine.launch import seats
from infra.engine.server import local_engine
from infra.environment import Environment, device, environment
from tasks.check import Checker
from tasks.language.format import PLANS
from tasks.running.prompts import Prompts
from tasks.running.served import ServedPolicy
from tasks.running.workplace import code_version
from tasks.settings import Search
from tests.bench.lockstep import ForgetfulEngine, search_in_lockstep
from tests.bench.meter import Cost, Meter
from tests.bench.models import BUILD, engines_of_our_own, prepared
from tests.bench.product import expansions, make_tasks, search
from tests.bench.replay import RecordingEngine, ReplayingEngine, in_groups, one_by_one, replay
from tests.bench.report import PHASES, Run, Size, summary, table

SIZES = {
    "micro": Size(
        trees=300,
        settings=Search(simulations=24, max_depth=10, max_step_tokens=160),
        repeats=3,
        aims={"search_vs_limit": 0.80, "search_vs_lockstep": 3.0},
    ),
    "smollm2": Size(
        trees=24,
        settings=Search(simulations=4, max_step_tokens=64),
        repeats=2,
        aims={"search_vs_limit": 0.95, "search_vs_lockstep": 3.0},
    ),
}


async def compare(engine: Engine, folder: Path, size: Size, *, seed: int, say: Callable[[str], None]) -> list[Run]:
    """All turns for the model that the engine serves."""
    prompts = Prompts.read(folder, PLANS)
    local = [local_engine(environment(), berth) for berth in range(len(engine.addresses))]
    running = [one for one in local if one and one.url in engine.addresses]
    pids, key = [one.pid for one in running], running[0].key if running else None

    def served(by: Engine) -> ServedPolicy:
        return ServedPolicy(by, prompts)

    async def measured(by: Engine, work: Awaitable[Any]) -> tuple[Any, Cost]:
        await forget_prefixes(engine, key)
        meter = Meter(by, pids, key)
        return await work, meter.read()

    async def lockstep(by: Engine) -> tuple[int, Cost]:
        return await measured(by, search_in_lockstep(served(by), tasks, size.settings))

    runs: list[Run] = []
    async with Checker() as checker, ReplayingEngine(engine, seats(environment()), key) as replaying:
        tasks = make_tasks(served(engine), checker, size.settings, count=size.trees, seed=seed)
        say("warming up")
        few = size.settings.model_copy(update={"simulations": 2})
        await search_in_lockstep(served(engine), tasks[:16], few)
        for turn in range(1, size.repeats + 1):
            recording = RecordingEngine(engine)
            grown, ours = await measured(engine, search(served(recording), tasks, size.settings))
            warm_expansions, warm = await lockstep(engine)
            cold_expansions, cold = await lockstep(ForgetfulEngine(engine))
            _, single = await measured(replaying, replay(replaying, one_by_one(recording.asked)))
            _, groups = await measured(replaying, replay(replaying, in_groups(recording.asked)))
            runs.append(
                Run(
                    search=ours,
                    lockstep=warm,
                    uncached=cold,
                    one_by_one=single,
                    in_groups=groups,
                    search_expansions=expansions(grown),
                    lockstep_expansions=warm_expansions,
                    uncached_expansions=cold_expansions,
                )
            )
            phases = ", ".join(f"{title} {getattr(runs[-1], phase).seconds:.1f} s" for phase, title in PHASES.items())
            say(f"turn {turn} of {size.repeats}: {phases}")
    return runs


async def forget_prefixes(engine: Engine, key: str | None) -> None:
    """Empties the engine's prefix cache, by an endpoint of vLLM's development mode. `key`: that the engine asks for."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0, headers=bearer(key)) as http:
        for address in engine.addresses:
            response = await http.post(f"{address}/reset_prefix_cache")
            if response.status_code != 200 or not response.json()["success"]:
                raise RuntimeError(
                    f"{address}/reset_prefix_cache answers {response.status_code} {response.text[:200]}: the engine "
                    "must run with VLLM_SERVER_DEV_MODE=1 and have no request of somebody else"
                )


async def bench(name: str, size: Size, *, seed: int, settings: Environment) -> list[Run]:
    folder = prepared(name, BUILD / "models")

    def say(message: str) -> None:
        print(f"{name}: {message}", flush=True)

    async with serving(folder, settings, say) as engine:
        return await compare(engine, folder, size, seed=seed, say=say)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", default=list(SIZES), choices=list(SIZES), help="default: %(default)s, about 15 minutes"
    )
    parser.add_argument("--trees", type=int, help="questions; default: " + _sizes("trees"))
    parser.add_argument("--repeats", type=int, help="turns of all phases; default: " + _sizes("repeats"))
    parser.add_argument(
        "--simulations",
        type=int,
        help="expansions a tree; default: "
        + ", ".join(f"{name} {size.settings.simulations}" for name, size in SIZES.items()),
    )
    parser.add_argument("--seed", type=int, default=1, help="of the questions; default: %(default)s")
    parser.add_argument("--output", type=Path, default=BUILD / "search.json", help="default: %(default)s")
    given = parser.parse_args()

    tables = []
    with engines_of_our_own() as settings:
        report: dict[str, Any] = {
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": code_version(),
            "machine": {"cores": os.cpu_count(), "device": device(settings), "platform": platform.platform()},
        }
        for name in given.models:
            size = _size(SIZES[name], given)
            runs = asyncio.run(bench(name, size, seed=given.seed, settings=settings))
            report[name] = summary(runs, size, seed=given.seed)
            tables.append(table(name, runs, report[name]))
            given.output.parent.mkdir(parents=True, exist_ok=True)
            given.output.write_text(json.dumps(report, indent=1) + "\n")
    print("\n" + "\n\n".join(tables) + f"\n\nwritten to {given.output}")


def _size(size: Size, given: argparse.Namespace) -> Size:
    simulations = given.simulations or size.settings.simulations
    return replace(
        size,
        trees=given.trees or size.trees,
        settings=size.settings.model_copy(update={"simulations": simulations}),
        repeats=given.repeats or size.repeats,
    )


def _sizes(field: str) -> str:
    return ", ".join(f"{name} {getattr(size, field)}" for name, size in SIZES.items())


if __name__ == "__main__":
    main()

"""`make bench-simulation`: a round's search on 1, 8 and 64 simulated H100s, the product's schedule beside lockstep.

No GPU ran. Real are the search (`grow`, PUCT), the client's choice of engine and its admission; simulated, in virtual
time, are the engines (tests/bench/gpu.py, fitted to published figures), the client's one core, and what a policy
replies (tests/bench/fleet.py). Every number is true of that model alone; the sensitivity says how far it moves with it.

    product    every tree by itself
    lockstep   as public CPL code runs it, the value asked apart (tests/bench/lockstep.py)
    uncached   lockstep with no prefix cache, which the public code did without

One engine stands for a fleet: of n engines that one process feeds it has the n-th part of the questions and of the
process's core. Whole fleets are simulated to check that, and to see trees that a hash spreads unevenly. On few engines
that is unfair to lockstep: it has no more than 240 trees on each, and loses less with more of them (`CHECKS`).
"""

import argparse
import asyncio
import gc
import hashlib
import json
import multiprocessing
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.engine.launch import SEATS
from tasks.running.served import SearchPolicy, ServedPolicy
from tasks.running.workplace import code_version
from tasks.search.grow import Task, grow
from tasks.settings import Search
from tests.bench.fleet import EXPANSION_SECONDS, Fleet, Lengths, Prompts, Replies
from tests.bench.gpu import GPU, MODELS, SOURCE
from tests.bench.lockstep import search_in_lockstep
from tests.bench.virtual import in_virtual_time

QUESTIONS, SIMULATIONS = 5000, 200
"""CPL's first round (methods.md 1.3)."""
FEW, ENOUGH = 100, 240
"""Simulations of a simulated tree, as in its second round, and questions that keep an engine full for long enough."""
SCHEDULES = ("product", "lockstep", "uncached")


@dataclass(frozen=True, slots=True)
class Case:
    """One simulated search: `engines` that one process feeds. `client`, `passes`: how many times as long they take.
    `seats`: sequences that the client sends to an engine, whose batch has 512. `budget`: tokens that it counts as sent
    there, in KV caches. `is_even`: trees are dealt out one by one. `fleet`: engines of the round that it stands for."""

    fleet: int = 1
    engines: int = 1
    questions: int = ENOUGH
    simulations: int = FEW
    schedule: str = "product"
    leaves: int = 1
    client: float = 1.0
    passes: float = 1.0
    seats: int = SEATS["cuda"]
    budget: float = 1.0
    is_even: bool = False
    model: str = "qwen3-8b"
    lengths: Lengths = field(default_factory=Lengths)
    seed: int = 1


def one_of(fleet: int, *, shards: int = 1, **changes: Any) -> Case:
    """An engine of a fleet that so many processes feed."""
    return replace(Case(fleet, questions=min(ENOUGH, QUESTIONS // fleet), client=fleet / shards), **changes)


@dataclass(frozen=True, slots=True)
class Found:
    """Of one case; seconds are virtual, but `took`. `full`: expansions a second and engine while the middle half was
    made. `busy`, `client_busy`: shares of the time. `sequences`: in a mean pass, of `pass_ms`."""

    seconds: float
    expansions: int
    full: float
    busy: float
    sequences: float
    pass_ms: float
    tokens_per_s: float
    cached: float
    cache_fullest: float
    client_busy: float
    took: float


def simulate(case: Case) -> Found:
    """To the end of the last tree."""
    began = time.perf_counter()
    fleet, seconds = in_virtual_time(search(case))
    gpus, times, count = fleet.gpus.values(), fleet.times, len(fleet.times)

    def of_all(name: str) -> Any:
        return sum(getattr(gpu, name) for gpu in gpus)

    return Found(
        seconds=seconds,
        expansions=count,
        full=count / 2 / (times[3 * count // 4] - times[count // 4]) / case.engines,
        busy=of_all("busy_seconds") / seconds / case.engines,
        sequences=of_all("sequences") / of_all("passes"),
        pass_ms=1e3 * of_all("busy_seconds") / of_all("passes"),
        tokens_per_s=of_all("generated") / seconds / case.engines,
        cached=fleet.usage.cached_tokens / fleet.usage.prompt_tokens,
        cache_fullest=max(gpu.fullest for gpu in gpus),
        client_busy=fleet.core.busy_seconds / seconds,
        took=time.perf_counter() - began,
    )


async def search(case: Case) -> tuple[Fleet, float]:
    """The fleet that has searched all trees, and the seconds that it took."""
    replies = Replies(case.lengths, case.seed)
    gpus = [GPU(MODELS[case.model], SEATS["cuda"], case.passes) for _ in range(case.engines)]
    running = [asyncio.create_task(gpu.run()) for gpu in gpus]
    # Names are digests, as the product's are: the client chooses an engine by them.
    places = {hashlib.sha256(b"%d" % place).hexdigest(): place for place in range(case.questions)}
    dealt = (lambda session: places[session] % case.engines) if case.is_even else None
    cached = case.schedule != "uncached"
    fleet = Fleet(gpus, replies, seats=case.seats, budget=case.budget, client=case.client, spread=dealt, cached=cached)
    served = ServedPolicy(fleet, Prompts(replies.prefix))  # type: ignore[arg-type]
    settings = Search(simulations=case.simulations, leaves=case.leaves)
    tasks = [
        Task(name, "", tuple(replies.question(place)), _is_low, case.simulations, priority=place)
        for name, place in places.items()
    ]
    if case.schedule == "product":
        policy = SearchPolicy(served, settings)
        await asyncio.gather(*(_grow(task, policy, settings) for task in tasks))
    else:
        await search_in_lockstep(served, tasks, settings)
    for one in running:
        one.cancel()
    return fleet, asyncio.get_running_loop().time()


async def _grow(task: Task, policy: SearchPolicy, settings: Search) -> None:
    if error := (await grow(task, policy, settings)).error:
        raise RuntimeError(f"a tree failed: {error}")


async def _is_low(answer: str) -> bool:
    return int(answer) < 5


def round_seconds(case: Case, found: Found) -> float:
    """What 5,000 questions x 200 simulations take on its fleet: at the rate of the middle half, but for what beginning
    and end lose: that grows with the simulations of a tree and not with the questions."""
    a_question = found.expansions / case.questions * SIMULATIONS / case.simulations
    lost = found.seconds - found.expansions / found.full / case.engines
    return a_question * QUESTIONS / case.fleet / found.full + lost * SIMULATIONS / case.simulations


ROUNDS = {
    **{f"{n}, {schedule}": one_of(n, schedule=schedule) for n in (1, 8, 64) for schedule in SCHEDULES},
    "32, product": one_of(32),
    "64, product, client of no cost": one_of(64, client=0.0),
    "64, product, 4 shards": one_of(64, shards=4),
    "64, product, 8 shards": one_of(64, shards=8),
    "64, product, 8 shards, 4 leaves": one_of(64, shards=8, leaves=4),
    "64, lockstep, 8 shards": one_of(64, shards=8, schedule="lockstep"),
}
CHECKS = {
    "1, product, 200 simulations": Case(simulations=SIMULATIONS),
    "64 engines whole, product, 4 simulations": Case(64, 64, QUESTIONS, 4),
    "one of 64, product, 4 simulations": one_of(64, simulations=4),
    "1, lockstep, 20 simulations": Case(simulations=20, schedule="lockstep"),
    "1, lockstep, 20 simulations, 1,000 questions": Case(questions=1000, simulations=20, schedule="lockstep"),
    "8 engines, 625 questions, by hash": Case(64, 8, 625, 40),
    "8 engines, 625 questions, evenly": Case(64, 8, 625, 40, is_even=True),
}
CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another seed": {"seed": 2},
    "passes 30 % slower": {"passes": 1.3},
    "passes 30 % faster": {"passes": 0.7},
    "answers half as long again": {"lengths": Lengths(step=67.5, solution=262.5)},
    "lengths spread by 0.8": {"lengths": Lengths(spread=0.8)},
    "1 answer of 200 runs away": {"lengths": Lengths(runaway=0.005)},
    "DeepSeekMath-7B": {"model": "deepseek-math-7b"},
    "DeepSeekMath-7B, half its cache": {"model": "deepseek-math-7b", "budget": 0.5},
    "DeepSeekMath-7B, twice its cache": {"model": "deepseek-math-7b", "budget": 2.0},
    "768 seats for a batch of 512": {"seats": 768},
}
SENSITIVITY = {
    f"{change}, {schedule}": Case(questions=200, simulations=25, schedule=schedule, **fields)
    for change, fields in CHANGES.items()
    for schedule in ("product", "lockstep")
}


def _named(given: tuple[str, Case]) -> tuple[str, Found]:
    gc.disable()  # trees are circles; the process ends with them
    return given[0], simulate(given[1])


def table(found: dict[str, Found]) -> str:
    """For a reader: rounds, checks, and how far the numbers move."""
    columns = ("GPU h", "hours", "quest./h", "exp./s", "busy", "seq./pass", "ms", "cached", "client")
    lines = [f"{'engines; 5,000 questions x 200 simulations':44}" + "".join(f"{one:>10}" for one in columns)]
    for name, case in (ROUNDS | CHECKS).items():
        one, hours = found[name], round_seconds(case, found[name]) / 3600
        lines.append(
            f"  {name:42}{case.fleet * hours:10.2f}{hours:10.2f}{QUESTIONS / hours:10,.0f}"
            f"{one.full * case.fleet:10,.0f}{one.busy:10.0%}{one.sequences:10.0f}"
            f"{one.pass_ms:10.1f}{one.cached:10.0%}{one.client_busy:10.0%}"
        )
    limit = 1 / EXPANSION_SECONDS / found["1, product"].full
    lines += [f"  one client's core feeds {limit:.0f} full engines", ""]
    lines.append(f"{'one engine, 200 questions x 25 simulations':44}{'exp./s':>10}{'lockstep':>10}{'times':>10}")
    for change in CHANGES:
        ours, theirs = (found[f"{change}, {schedule}"].full for schedule in ("product", "lockstep"))
        lines.append(f"  {change:42}{ours:10.1f}{theirs:10.1f}{ours / theirs:10.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2, help="processes at once; default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("build/bench/simulation.json"), help="default: %(default)s")
    given = parser.parse_args()
    cases = ROUNDS | CHECKS | SENSITIVITY
    found: dict[str, Found] = {}
    said = {"created_at": datetime.now(UTC).isoformat(timespec="seconds"), "code": code_version(), "figures": SOURCE}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(given.workers, maxtasksperchild=1) as pool:
        for name, one in pool.imap(_named, cases.items()):
            found[name] = one
            print(f"{name:44}{one.full * cases[name].engines:8,.1f} expansions/s, took {one.took:.0f} s", flush=True)
            told = {name: asdict(cases[name]) | asdict(one) for name, one in found.items()}
            given.output.write_text(json.dumps(said | {"cases": told}, indent=1) + "\n")
    print(f"\n{table(found)}\nwritten to {given.output}")


if __name__ == "__main__":
    main()

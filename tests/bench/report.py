"""What `make bench-search` says of its runs: the ratios, their spread, and the cost of every phase."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.settings import Search
from tests.bench.meter import Cost

PHASES = {
    "search": "search",
    "lockstep": "lockstep",
    "uncached": "uncached",
    "one_by_one": "one by one",
    "in_groups": "in groups",
}


@dataclass(frozen=True, slots=True)
class Size:
    """Of the work for one model: enough trees to fill the engine, and minutes on two cores. `aims`: at least."""

    trees: int
    settings: Search
    repeats: int
    aims: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One turn: the cost of each phase, and the expansions of both searches."""

    search: Cost
    lockstep: Cost
    uncached: Cost
    one_by_one: Cost
    in_groups: Cost
    search_expansions: int
    lockstep_expansions: int
    uncached_expansions: int

    def ratios(self) -> dict[str, float]:
        """The numbers of search.json. `search_vs_limit_cpu` has CPU seconds of client and engine in the place of time:
        it is no aim, but what others do on the machine changes it less."""
        limit = min(self.one_by_one, self.in_groups, key=lambda cost: cost.seconds)
        expansions_per_s = self.search_expansions / self.search.seconds
        return {
            "search_vs_limit": limit.seconds / self.search.seconds,
            "search_vs_limit_cpu": _cpu(limit) / _cpu(self.search),
            "search_vs_lockstep": expansions_per_s * self.lockstep.seconds / self.lockstep_expansions,
            "search_vs_uncached": expansions_per_s * self.uncached.seconds / self.uncached_expansions,
            "tokens_per_s": self.search.generated_tokens / self.search.seconds,
            "expansions_per_s": expansions_per_s,
            "cache_hit_share": self.search.cache_hit_share,
        }


def _cpu(cost: Cost) -> float:
    return cost.client_cpu + cost.engine_cpu


def summary(runs: list[Run], size: Size, *, seed: int) -> dict[str, Any]:
    """What search.json says of one model: means over the turns, their spread, and every turn."""
    ratios = [run.ratios() for run in runs]
    return {
        **{name: statistics.fmean(one[name] for one in ratios) for name in ratios[0]},
        "spread": {name: deviation(one[name] for one in ratios) for name in ratios[0]},
        "aims": dict(size.aims),
        "repeats": len(runs),
        "trees": size.trees,
        "simulations": size.settings.simulations,
        "questions": "micro/train",
        "seed": seed,
        "settings": size.settings.model_dump(),
        "seconds": {phase: statistics.fmean(getattr(run, phase).seconds for run in runs) for phase in PHASES},
        "turns": [asdict(run) for run in runs],
    }


def deviation(values: Iterable[float]) -> float | None:
    """Standard deviation of a sample; None of a single value."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None


COLUMNS = {
    "seconds": ("seconds", 1),
    "requests": ("requests", 0),
    "tokens": ("generated_tokens", 0),
    "tokens/s": ("tokens_per_s", 1),
    "cached": ("cache_hit_share", 3),
}
PROFILE = {
    "busy": ("busy_share", 3),
    "client": ("client_cpu", 1),
    "engine": ("engine_cpu", 1),
    "others": ("other_cpu", 1),
    "running": ("running", 1),
    "queued": ("waiting", 1),
    "passes": ("steps", 0),
    "ms": ("pass_ms", 1),
    "failed": ("failed_requests", 1),
}
"""Heading: (field of Cost, digits)."""


def table(name: str, runs: list[Run], report: dict[str, Any]) -> str:
    """One model's numbers for a reader; where an aim is missed, with a profile of where the time goes."""
    repeats = report["repeats"]
    is_missed = any(report[what] < aim for what, aim in report["aims"].items())
    columns = COLUMNS | (PROFILE if is_missed else {})
    lines = [
        f"{name}: {report['trees']} trees x {report['simulations']} simulations, seed {report['seed']}, "
        + (f"mean ± standard deviation of {repeats} turns" if repeats > 1 else "one turn"),
        *(f"  {what.replace('_', ' '):20}{_with_aim(report, what)}" for what in report["spread"]),
        "",
        " " * 12 + "".join(f"{heading:>10}" for heading in columns),
    ]
    for phase, title in PHASES.items():
        costs = [asdict(getattr(run, phase)) for run in runs]
        means = {field: statistics.fmean(cost[field] for cost in costs) for field in costs[0]}
        means["tokens_per_s"] = means["generated_tokens"] / means["seconds"]
        means["pass_ms"] = 1000 * means["seconds"] / means["steps"]
        lines.append(f"  {title:10}" + "".join(f"{means[field]:10.{digits}f}" for field, digits in columns.values()))
    if is_missed:
        lines += [
            "  busy: share of the time with a request in flight; client, engine, others: CPU seconds; running,",
            "  queued: mean sequences in the engine; passes: forward passes, of ms each; failed: requests sent again",
        ]
    return "\n".join(lines)


def _with_aim(report: dict[str, Any], what: str) -> str:
    mean, spread = report[what], report["spread"][what]
    digits = 1 if mean > 100 else 3
    text = f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")
    if (aim := report["aims"].get(what)) is None:
        return text
    missed = 1 - mean / aim
    return f"{text}   (aim {aim}: {f'missed by {missed:.0%}' if missed > 0 else 'met'})"

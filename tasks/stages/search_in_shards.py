"""The search on several machines: shards of the questions, each searched by a run of its own, and put together again.

A question's tree is drawn from the policy alone, whatever shard the question is in, so a search in shards is the stage
*search* done in another way: the same name, version and key. A round finds it done whatever the number of shards was.
With `search.leaves` above 1 that is true of the tree's distribution no more: how many of its leaves are out at once
depends on how busy the engine is, and so on the shards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from pydantic_core import to_jsonable_python

from infra.fan_out import run_each
from infra.store import Ref
from tasks.records import TABLES
from tasks.running.progress import Progress
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.settings import Search
from tasks.stages.search import VERSION, search

DEPLOYMENT = "cpl-search/shard"


class ShardMissing(RuntimeError):
    """A shard's run completed, and its stage is not where the round looks for it."""


@stage("shard", version=1)
def take_shard(workplace: Workplace, questions: Ref, shard: int, shards: int) -> int:
    """The questions of one shard: table `questions`, in the order of the whole."""
    taken = share(workplace.read(questions, "questions"), shard, shards)
    workplace.write("questions", taken)
    return taken.height


@stage("search", version=VERSION, layout=("shards",), task_run_name="search-{name}")
def search_in_shards(
    workplace: Workplace,
    questions: Ref,
    policy: Ref,
    name: str,
    settings: Search,
    rates: Ref | None,
    library: dict[str, Ref] | None,
    value: Ref | None,
    shards: int,
) -> int:
    """The stage *search* as `shards` runs of the deployment `cpl-search/shard`, on whichever workers take them.

    A shard is a search of its own, so its stage has a key: those that are in the store are not searched again.
    """
    shards = max(1, min(shards, questions.rows))
    taken = [take_shard(questions, number, shards) for number in range(1, shards + 1)]

    def searched() -> list[Ref | None]:
        given = (policy, name, settings, rates, library, value)
        return [search.find(workplace.store, one, *given) for one in taken]

    inputs: dict[str, Any] = {"questions": questions, "policy": policy, "name": name, "settings": settings}
    inputs |= {"rates": rates, "library": library, "value": value}
    given = to_jsonable_python(inputs | {"shards": shards})
    missing = [number for number, ref in enumerate(searched(), 1) if ref is None]
    progress = Progress(workplace.log, f"Shards of the search {name}", total=shards)
    run_each(
        DEPLOYMENT,
        {f"{name}, shard {number} of {shards}": given | {"shard": number} for number in missing},
        workplace.log,
        lambda done: progress.show(shards - len(missing) + done),
    )
    found = [ref for ref in searched() if ref is not None]
    if len(found) < shards:
        raise ShardMissing(
            f"{shards - len(found)} of {shards} shards of the search completed, but their stages are not in the store "
            f"{workplace.store.uri}: do their workers use the same CPL_STORE and the same version of the factory?"
        )
    for table in ("trees", "nodes"):
        workplace.write(table, (group for ref in found for group in workplace.groups(ref, table)))
    workplace.write("engine_use", added([workplace.read(ref, "engine_use") for ref in found]))
    manifests = [workplace.store.manifest(ref) for ref in found]
    workplace.facts |= total([manifest.facts for manifest in manifests]) | {"shards": shards}
    workplace.gpu_seconds_elsewhere = sum(manifest.gpu_seconds or 0.0 for manifest in manifests)
    return sum(ref.rows for ref in found)


def share(questions: pl.DataFrame, shard: int, shards: int) -> pl.DataFrame:
    """The `shard`-th (from 1) of `shards` slices that differ by one question at most.

    A round's questions lie in the order of their digests, so every slice is a fair sample of them; and the shards'
    tables, one after the other, are in the order of the whole.
    """
    start, end = (questions.height * number // shards for number in (shard - 1, shard))
    return questions[start:end]


def added(uses: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """A row of `engine_use` a stage, for all its engines: seconds and counts are added up, `gpus` are those of one."""
    sums = pl.exclude("gpus").sum()
    rows = pl.concat(uses).group_by("stage", maintain_order=True).agg(sums, pl.col("gpus").max())
    return rows.select(TABLES["engine_use"].names()).cast(TABLES["engine_use"])


def total(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the shards say together: counts are added up and notes are told one after the other.

    What is neither (a rate, a name) is true of one shard only, and left out.
    """
    names = dict.fromkeys(name for one in facts for name, value in one.items() if type(value) is int)
    counts = {name: sum(one.get(name, 0) for one in facts) for name in names}
    return counts | {"notes": [note for one in facts for note in one.get("notes", ())]}

"""The stage *rank_values*: how well a model's V tells the better of two sibling steps (tasks.scoring.ranking)."""

import asyncio

from infra.store import Ref
from tasks.language.format import FORMATS
from tasks.records import frame
from tasks.running.progress import Progress
from tasks.running.served import serve
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.scoring.ranking import held_out, rankings, steps_of
from tasks.settings import Steps

AT_ONCE = 2048
"""States that are asked for before it is told how far it is: several times what an engine takes at once."""


@stage("rank_values", version=5, task_run_name="rank-values-{name}")
def rank_values(workplace: Workplace, model: Ref, name: str, searches: dict[str, Ref], steps: Steps) -> int:
    """Table `value_rankings`: steps and solutions of the searches' held-out trees, ranked by a model's V.

    V comes from the engine, at the same position as in search, be it that of a policy or of a model for the value
    alone; it is compared with what became of the steps (`SearchedTree.outcomes`).
    `steps`: what the searches take, as their settings say it.
    """
    format = FORMATS[steps]
    trees = [
        tree
        for search in searches.values()
        for tree in held_out(workplace.read(search, "trees"), workplace.read(search, "nodes"))
    ]
    ranked = [one for tree in trees for one in steps_of(tree)]

    async def run() -> list[float]:
        async with serve(workplace, model, format) as served:
            progress = await asyncio.to_thread(Progress, workplace.log, f"Rankings by V of {name}", len(ranked))
            values: list[float] = []
            for start in range(0, len(ranked), AT_ONCE):
                values += await served.values([one.state for one in ranked[start : start + AT_ONCE]])
                await asyncio.to_thread(progress.show, len(values), served.account())
            return values

    values = asyncio.run(run()) if ranked else []
    workplace.write("value_rankings", frame("value_rankings", rankings(name, format.step, len(trees), ranked, values)))
    return 2

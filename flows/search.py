"""The flow `cpl-search`: one shard of a round's search, on a worker and an engine of its own (design D10).

The round starts it (`tasks.stages.search_in_shards`) when it is asked to search on several machines.
"""

from typing import Annotated

from prefect import flow
from pydantic import Field

from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref
from tasks.settings import Search
from tasks.stages.search import search
from tasks.stages.search_in_shards import take_shard


@flow(name="cpl-search", flow_run_name="{name}, shard {shard} of {shards}", persist_result=False)
def cpl_search(
    questions: Ref,
    policy: Ref,
    name: str,
    settings: Search,
    rates: Ref | None = None,
    library: dict[str, Ref] | None = None,
    value: Ref | None = None,
    shard: Annotated[int, Field(ge=1)] = 1,
    shards: Annotated[int, Field(ge=1)] = 1,
) -> Ref:
    """The trees of every question of the shard: the stage *search* of these questions.

    Args:
        questions: The stage `questions` of a round.
        policy: The stage of the model to search with.
        name: Of the evidence that the search is.
        settings: Of the search, as in a recipe's evidence.
        rates: The evidence whose pass rates set the budgets.
        library: Stages whose plan steps are offered.
        value: A separate value model, whose V counts.
        shard: Which of the shards. At least 1.
        shards: Into how many shards the questions are divided. At least 1.
    """
    with tenant(environment()):
        return search(take_shard(questions, shard, shards), policy, name, settings, rates, library, value)

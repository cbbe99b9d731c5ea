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
    questions: Annotated[Ref, Field(description="The stage `questions` of a round.")],
    policy: Annotated[Ref, Field(description="The stage of the model to search with.")],
    name: Annotated[str, Field(description="Of the evidence that the search is.")],
    settings: Search,
    rates: Annotated[Ref | None, Field(description="The evidence whose pass rates set the budgets.")] = None,
    library: Annotated[dict[str, Ref] | None, Field(description="Stages whose plan steps are offered.")] = None,
    value: Annotated[Ref | None, Field(description="A separate value model, whose V counts.")] = None,
    shard: Annotated[int, Field(ge=1, description="Which of the shards, from 1.")] = 1,
    shards: Annotated[int, Field(ge=1, description="Into how many shards the questions are divided.")] = 1,
) -> Ref:
    """The trees of every question of the shard: the stage *search* of these questions."""
    with tenant(environment()):
        return search(take_shard(questions, shard, shards), policy, name, settings, rates, library, value)

"""The flow `cpl-campaign`: rounds 1 to K, each a `cpl` run of its own that starts from the round before."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.parameters import BY_MODEL, AnyRecipe
from flows.round import cpl
from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref


@flow(name="cpl-campaign", persist_result=False)
def cpl_campaign(
    campaign: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = "",
    rounds: Annotated[int, Field(ge=1, le=100)] = 2,
    model: str = "micro",
    repeat: Annotated[int, Field(ge=0)] = 0,
    shards: Annotated[int, Field(ge=1, le=100)] = 1,
    train_apart: bool = False,
    recipe: AnyRecipe = BY_MODEL,
) -> list[Ref]:
    """Rounds 1..K of a campaign; rounds that are published already are found in the cache and cost seconds.

    Args:
        campaign: Name of the campaign. Lower-case letters, digits and hyphens. Blank: named after the model.
        rounds: Rounds to run, from the first on. From 1 to 100. CPL: 2.
        model: The base model of every round: micro, smollm2, the path of a model folder, or a hub id.
        repeat: Another number draws the rounds again: the same questions, other samples. At least 0.
        shards: Machines that search at once, in every round. From 1 to 100.
        train_apart: Trainings are runs of their own, on their pool, in every round.
        recipe: A method with its numbers, for every round. By name: as it is in flows/recipes/; by model: the model's
            own. A button shows all fields of a model's own recipe with its values, to be changed.
    """
    with tenant(environment()):  # else the engine would start anew for every round
        return [
            cpl(
                campaign=campaign,
                round=number,
                model=model,
                repeat=repeat,
                shards=shards,
                train_apart=train_apart,
                recipe=recipe,
            )
            for number in range(1, rounds + 1)
        ]

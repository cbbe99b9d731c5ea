"""The flow `cpl-campaign`: rounds 1 to K, each a `cpl` run of its own that starts from the round before."""

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.parameters import BY_MODEL, Changes, Recipe
from flows.round import cpl
from infra.store import Ref
from tasks.settings import Arm


@flow(name="cpl-campaign", persist_result=False)
def cpl_campaign(
    campaign: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = "",
    rounds: Annotated[int, Field(ge=1, le=100)] = 2,
    model: str = "micro",
    recipe: Recipe = BY_MODEL,
    arms: list[Arm] = [],
    repeat: Annotated[int, Field(ge=0)] = 0,
    shards: Annotated[int, Field(ge=1, le=100)] = 1,
    questions: Annotated[dict[str, Any], Changes("questions")] = {},
    rollouts: Annotated[dict[str, Any], Changes("rollouts")] = {},
    search: Annotated[dict[str, Any], Changes("search")] = {},
    pairs: Annotated[dict[str, Any], Changes("pairs")] = {},
    sft: Annotated[dict[str, Any], Changes("sft")] = {},
    value: Annotated[dict[str, Any], Changes("value")] = {},
    step_apo: Annotated[dict[str, Any], Changes("step_apo")] = {},
    step_dpo: Annotated[dict[str, Any], Changes("step_dpo")] = {},
    control: Annotated[dict[str, Any], Changes("control")] = {},
    evaluation: Annotated[dict[str, Any], Changes("evaluation")] = {},
) -> list[Ref]:
    """Rounds 1..K of a campaign; rounds that are published already are found in the cache and cost seconds.

    Args:
        campaign: Name of the campaign. Lower-case letters, digits and hyphens. Blank: named after the model.
        rounds: Rounds to run, from the first on. From 1 to 100. CPL: 2.
        model: Base model of every round's SFT: micro, smollm2, the path of a model folder, or a hub id.
        recipe: A file of flows/recipes/, for every round. By model: as in the flow cpl.
        arms: What is trained from the SFT model: step_apo, the same pairs without margin (step_dpo), and the control
            (sft_more), which learns from as many sequences as Step-APO. Empty: the recipe's.
        repeat: Another number draws the round again: the same questions, other samples. At least 0.
        shards: Machines that search at once, in every round. From 1 to 100.
    """
    settings: dict[str, Any] = {
        "arms": arms,
        "repeat": repeat,
        "shards": shards,
        "questions": questions,
        "rollouts": rollouts,
        "search": search,
        "pairs": pairs,
        "sft": sft,
        "value": value,
        "step_apo": step_apo,
        "step_dpo": step_dpo,
        "control": control,
        "evaluation": evaluation,
    }
    return [
        cpl(campaign=campaign, round=number, model=model, recipe=recipe, **settings) for number in range(1, rounds + 1)
    ]

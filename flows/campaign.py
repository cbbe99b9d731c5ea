"""The flow `cpl-campaign`: rounds 1 to K, each a `cpl` run of its own that starts from the round before."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.parameters import (
    ControlForm,
    EvaluationForm,
    PairsForm,
    QuestionsForm,
    Recipe,
    RolloutsForm,
    SearchForm,
    SftForm,
    StepApoForm,
    StepDpoForm,
    ValueForm,
)
from flows.round import cpl
from infra.store import Ref
from tasks.settings import Arm


@flow(name="cpl-campaign", flow_run_name="{campaign}", persist_result=True, result_serializer="json")
def cpl_campaign(
    campaign: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the campaign.")] = "demo",
    rounds: Annotated[int, Field(ge=1, le=100, description="Rounds to run. CPL: 2.")] = 2,
    model: Annotated[str, Field(description="Base model of every round's SFT, as in the flow cpl.")] = "micro",
    recipe: Annotated[Recipe | None, Field(description="As in the flow cpl, for every round.")] = None,
    shards: Annotated[int, Field(ge=1, le=100, description="As in the flow cpl, for every round.")] = 1,
    questions: QuestionsForm = QuestionsForm(),
    rollouts: RolloutsForm = RolloutsForm(),
    search: SearchForm = SearchForm(),
    pairs: PairsForm = PairsForm(),
    sft: SftForm = SftForm(),
    value: ValueForm = ValueForm(),
    arms: Annotated[list[Arm] | None, Field(description="As in the flow cpl, for every round.")] = None,
    step_apo: StepApoForm = StepApoForm(),
    step_dpo: StepDpoForm = StepDpoForm(),
    control: ControlForm = ControlForm(),
    evaluation: EvaluationForm = EvaluationForm(),
) -> list[Ref]:
    """Rounds 1..K of a campaign; rounds that are published already are found in the cache and cost seconds."""
    return [
        cpl(
            campaign=campaign,
            round=number,
            model=model,
            recipe=recipe,
            shards=shards,
            questions=questions,
            rollouts=rollouts,
            search=search,
            pairs=pairs,
            sft=sft,
            value=value,
            arms=arms,
            step_apo=step_apo,
            step_dpo=step_dpo,
            control=control,
            evaluation=evaluation,
        )
        for number in range(1, rounds + 1)
    ]

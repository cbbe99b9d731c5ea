"""The flow `cpl-train`: one training of a round, on a worker and GPUs of its own (design D10).

The round starts it (`tasks.stages.learn_apart`) when it is asked to train apart.
"""

from prefect import flow

from infra.contract.training import Training
from infra.store import Ref
from tasks.settings import Steps
from tasks.stages.learn import learn


@flow(name="cpl-train", flow_run_name="learn {name}", persist_result=False)
def cpl_train(start: Ref, lesson: Ref, name: str, training: Training, chat: Steps | None = None) -> Ref:
    """A model that learns a lesson: the stage *learn* of these inputs.

    Args:
        start: The stage of the model that it starts from.
        lesson: The stage of the rows that it learns from.
        name: Of the arm.
        training: The loss, and how it is made smaller.
        chat: Whose instruction stands before each row in the model's chat template. Blank: it learns without.
    """
    return learn(start, lesson, name, training, chat)

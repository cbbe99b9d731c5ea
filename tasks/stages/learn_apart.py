"""The stage *learn* as a run of its own, on GPUs that wait for trainings (design D10)."""

from typing import Any

from prefect.logging import get_run_logger
from pydantic_core import to_jsonable_python

from infra.contract.training import Training
from infra.environment import environment
from infra.fan_out import run_each
from infra.store import Ref, Store
from tasks.running.trainer import is_cancelled
from tasks.settings import Steps
from tasks.stages.learn import learn

DEPLOYMENT = "cpl-train/training"


class TrainingMissing(RuntimeError):
    """A training's run completed, and its stage is not where the round looks for it."""


def learn_apart(start: Ref, lesson: Ref, name: str, training: Training, chat: Steps | None = None) -> Ref:
    """What `learn` makes of the same inputs, by a run of the deployment `cpl-train/training` unless it is there."""
    store, given = Store.open(environment()), (start, lesson, name, training, chat)
    if learn.find(store, *given) is None:
        inputs: dict[str, Any] = {"start": start, "lesson": lesson, "name": name, "training": training, "chat": chat}
        asked = {f"learn {name}": to_jsonable_python(inputs)}
        run_each(DEPLOYMENT, asked, get_run_logger(), lambda done: None, is_cancelled)
        if learn.find(store, *given) is None:
            raise TrainingMissing(
                f"{name} was trained, and its stage is not in the store {store.uri}: does its worker use the same "
                "CPL_STORE and the same version of the factory?"
            )
    return learn(*given)

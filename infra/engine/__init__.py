"""The engine: vLLM as a service of its own that serves the policy and, in the same reply, its value (design D1, D2)."""

from infra.engine.client import Engine
from infra.engine.launch import NotEnoughGPUs, refuse_engines_without_gpus
from infra.engine.load import Load
from infra.engine.model_folder import ModelFolder
from infra.engine.pair import NoValueEngine, in_the_way, policy_and_value, refuse_without_value_engine
from infra.engine.proof import WrongModel
from infra.engine.reply import Completion, EngineError, Likelihood, PromptTooLong, Reply
from infra.engine.server import stop_local_engines
from infra.engine.serving import ModelChanged, serving
from infra.engine.tenancy import engines_stopped, stop_engines, tenant
from infra.engine.usage import Usage
from infra.engine.wire import MOST_STOPS

__all__ = [
    "MOST_STOPS",
    "Completion",
    "Engine",
    "EngineError",
    "Likelihood",
    "Load",
    "ModelChanged",
    "ModelFolder",
    "NoValueEngine",
    "NotEnoughGPUs",
    "PromptTooLong",
    "Reply",
    "Usage",
    "WrongModel",
    "engines_stopped",
    "in_the_way",
    "policy_and_value",
    "refuse_engines_without_gpus",
    "refuse_without_value_engine",
    "serving",
    "stop_engines",
    "stop_local_engines",
    "tenant",
]

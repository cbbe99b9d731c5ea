"""The two engines that a home may have: the policy's, and beside it one for a separate value model (design D2)."""

from infra.environment import Environment, device


def value_engine(here: Environment) -> Environment:
    """The same settings for the value model's engine: addresses, lock, log and state of its own."""
    own = {"home": here.home / "value", "engine_urls": here.value_engine_urls}
    return here.model_copy(update=own)


def side_by_side(here: Environment) -> tuple[Environment, Environment]:
    """Environment of the policy's and of the value model's engine while both run, on one GPU if both are local."""
    shared = {"engine_memory": here.engine_memory / 2} if _share_a_gpu(here) else {}
    policy = here.model_copy(update=shared)
    return policy, value_engine(policy)


def _share_a_gpu(here: Environment) -> bool:
    return device(here) == "cuda" and not here.engine_urls and not here.value_engine_urls

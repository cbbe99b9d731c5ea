"""The two engines that a home may have: the policy's, and beside it one for a separate value model (design D2)."""

from infra.engine.launch import servers
from infra.environment import Environment, device


class NoValueEngine(ValueError):
    """A value model of its own has no engine: the policy's are somebody else's, and nobody named the other's."""


def refuse_without_value_engine(here: Environment) -> None:
    """Where the engines are the user's own, those of a separate value model are, too: none is started beside them.

    Raises:
        NoValueEngine
    """
    if here.engine_urls and not here.value_engine_urls:
        raise NoValueEngine(
            "this recipe has a value model of its own (next.value), which needs an engine beside the policy's. "
            "CPL_ENGINE_URLS names engines that you run yourself, and CPL_VALUE_ENGINE_URLS names none: set it to the "
            "addresses of engines for the value model, or do without that model in another campaign: "
            '--set "next.value=[]".'
        )


def value_engine(here: Environment) -> Environment:
    """The same settings for the value model's engine: addresses, lock, log and state of its own."""
    own = {"home": here.home / "value", "engine_urls": here.value_engine_urls}
    return here.model_copy(update=own)


def policy_and_value(here: Environment) -> tuple[Environment, Environment]:
    """Environment of the policy's and of the value model's engine while both run, on one GPU if both are local."""
    shared: dict[str, float] = {}
    if _share_a_gpu(here):
        shared = {
            "engine_memory": here.engine_memory / 2,
            "engine_servers": here.engine_servers or max(1, servers(here) // 2),
        }
    policy = here.model_copy(update=shared)
    return policy, value_engine(policy)


def in_the_way(here: Environment) -> Environment | None:
    """Whose engines must end before the policy's take their GPUs alone: a search may have left the value model's."""
    return value_engine(here) if _share_a_gpu(here) else None


def _share_a_gpu(here: Environment) -> bool:
    return device(here) == "cuda" and not here.engine_urls and not here.value_engine_urls

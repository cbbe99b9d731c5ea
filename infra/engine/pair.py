"""The two engines that a home may have: the policy's, and beside it one for a separate value model (design D2)."""

from infra.settings import Settings, device


def value_engine(settings: Settings) -> Settings:
    """The same settings for the value model's engine: addresses, lock, log and state of its own."""
    own = {"home": settings.home / "value", "engine_urls": settings.value_engine_urls}
    return settings.model_copy(update=own)


def side_by_side(settings: Settings) -> tuple[Settings, Settings]:
    """Settings of the policy's and of the value model's engine while both run, on one GPU if both are local."""
    shared = {"engine_memory": settings.engine_memory / 2} if _share_a_gpu(settings) else {}
    policy = settings.model_copy(update=shared)
    return policy, value_engine(policy)


def _share_a_gpu(settings: Settings) -> bool:
    return device(settings) == "cuda" and not settings.engine_urls and not settings.value_engine_urls

"""Flows as tenants of their home's engines. Engines stay up between stages and end with the last flow."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from infra.engine.pair import value_engine
from infra.engine.server import Progress, engines_gone, stop_local_engines
from infra.environment import Environment


@contextmanager
def tenant(here: Environment) -> Iterator[None]:
    """For the length of a flow. A round and the shards that run in its home share its engines, whoever started them."""
    home = here.home.absolute() / "engine"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "tenants.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # waits only while a flow that leaves stops them
        try:
            yield
        finally:
            # A lock that cannot be made exclusive is lost, so of several that leave at once the last one gets it.
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                stop_engines(here)
            fcntl.flock(file, fcntl.LOCK_UN)


def stop_engines(here: Environment) -> bool:
    """Stops this home's engines, the policy's and the value model's. False: another flow is using some."""
    policys, values = stop_local_engines(here), stop_local_engines(value_engine(here))
    return policys and values


@contextmanager
def engines_stopped(here: Environment, progress: Progress) -> Iterator[None]:
    """This home without its engines, as long as the context lasts: training needs the memory of their GPUs."""
    with engines_gone(here, progress), engines_gone(value_engine(here), progress):
        yield

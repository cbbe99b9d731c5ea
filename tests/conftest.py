"""The S3 server that tests share, each with a prefix of its own; in which order tests run, and which stay together."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is there: of a tiny model a second thread is all overhead

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from infra.environment import Environment
from infra.store import Store
from tests.servers import start_weed

settings.register_profile("busy machine", deadline=None)  # an example's time says how busy it is, and nothing else
settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that leads to the server."""
    with start_weed(tmp_path_factory.mktemp("weed")) as environment:
        yield environment


@pytest.fixture
def store(weed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store, with a home of its own; the environment leads to both."""
    own = {"CPL_HOME": str(tmp_path / "home"), "CPL_STORE": f"s3://cpl/{tmp_path.name}"}
    for name, value in (weed | own).items():
        monkeypatch.setenv(name, value)
    return Store.open(Environment())


class Rooms(LoadFileScheduling):
    """A process takes one file of tests after another; of a folder that shares a stack, all of them."""

    SHARED = ("tests/rounds/", "tests/infra/stack/")

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, self.SHARED), None) or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)  # `make mutants` runs without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Rooms:
    return Rooms(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole rounds first, for they take longest; then the stack's tests, which wait while others compute."""
    items.sort(key=lambda item: (item.get_closest_marker("round") is None, not item.nodeid.startswith(Rooms.SHARED)))

"""The S3 server that tests share, each with a prefix of its own; in which order tests run, and which stay together."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is there: of a tiny model a second thread is all overhead

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from infra.environment import Environment
from infra.store import Store
from tests.servers import start_prefect, start_weed

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


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that leads to a Prefect server without workers, for flows that tests run themselves."""
    with start_prefect(tmp_path_factory.mktemp("prefect")) as environment:
        yield environment


class Rooms(LoadFileScheduling):
    """A process takes one file of tests after another; of those that share a stack or Prefect's server, all."""

    SHARED: ClassVar = {
        "tests/rounds/": "a stack for rounds",
        "tests/infra/stack/": "a stack to be broken",
        "tests/tasks/running/test_stage_in_a_flow.py": "Prefect's server",
        "tests/tasks/running/test_record.py": "Prefect's server",
        "tests/infra/desk/test_follow.py": "Prefect's server",
    }

    @classmethod
    def shared(cls, nodeid: str) -> str | None:
        return next((room for place, room in cls.SHARED.items() if nodeid.startswith(place)), None)

    def _split_scope(self, nodeid: str) -> str:
        return self.shared(nodeid) or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)  # `make mutants` runs without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Rooms:
    return Rooms(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole rounds first, for they take longest; then what shares a server, and waits while others compute."""
    items.sort(key=lambda item: (item.get_closest_marker("round") is None, Rooms.shared(item.nodeid) is None))

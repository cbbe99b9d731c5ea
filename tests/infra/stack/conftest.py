"""The stack that the tests of this folder share: some of them kill its parts, and each finds it whole again."""

from collections.abc import Iterator

import pytest

from infra.stack import api
from infra.stack.local import Stack
from tests.infra.stack.stacks import CRASHED, make_repository, running_stack


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(make_repository(tmp_path_factory.mktemp("repository"))) as stack:
        yield stack


@pytest.fixture
def stack(shared: Stack) -> Stack:
    """A running stack, whatever the test before did to it. A run that it left behind holds up no other."""
    shared.up(print)
    left = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    for run in api.ask(shared.home, "POST", "/flow_runs/filter", left):
        api.ask(shared.home, "POST", f"/flow_runs/{run['id']}/set_state", CRASHED)
    return shared

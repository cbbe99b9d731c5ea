"""One stack for these whole rounds: a home costs a server, its workers, an engine and a base model."""

from collections.abc import Iterator

import pytest

from tests.shell import Shell, running_shell


@pytest.fixture(scope="package")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with running_shell(tmp_path_factory.mktemp("rounds")) as shell:
        yield shell

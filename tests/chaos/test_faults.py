"""Every fault of the matrix is done, and what can be undone is."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.chaos import faults
from tests.chaos.cells import FAULTS, TWO_RUNS
from tests.chaos.faults import Harm, do
from tests.chaos.proxy import Spoiling


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What faults touch of a stack. Its disk is not filled: the ballast is a file of no size."""
    monkeypatch.setattr(faults, "fill", lambda home: home / "ballast")
    proxy = SimpleNamespace(spoiling=Spoiling())
    files = {"spoiling": tmp_path / "spoiling.json", "clock": tmp_path / "clock"}
    return SimpleNamespace(home=tmp_path, proxy=proxy, spoilt=lambda: 3, **files)


@pytest.fixture
def victim() -> Iterator[psutil.Process]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {TWO_RUNS}))
def test_a_fault_of_the_matrix_is_known(fault: str, site: Any, victim: psutil.Process) -> None:
    """What nobody knew how to do was once done as another fault."""
    assert isinstance(do(site, fault, victim), Harm)


@pytest.mark.parametrize("fault", ["kill", "store hot", "engine", "disk", TWO_RUNS])
def test_what_is_no_fault_of_a_stage_is_refused(fault: str, site: Any, victim: psutil.Process) -> None:
    with pytest.raises(ValueError, match="no fault of one stage"):
        do(site, fault, victim)
    with pytest.raises(ValueError, match="no victim"):
        do(site, "kill flow", None)


def test_a_stopped_victim_is_seen_to_be_and_goes_on(site: Any, victim: psutil.Process) -> None:
    harm = do(site, "stop flow", victim)
    assert harm.is_seen
    assert victim.status() == psutil.STATUS_STOPPED
    harm.undo()
    assert victim.status() != psutil.STATUS_STOPPED
    assert do(site, "kill flow", victim).is_seen
    harm.undo()  # of who is gone


def test_the_store_is_spoilt_until_it_is_not_and_what_was_is_counted(site: Any) -> None:
    harm = do(site, "store cut", None)
    assert all(site.proxy.spoiling.takes() for _ in range(3))
    harm.undo()
    assert not site.proxy.spoiling.takes()
    assert (harm.spoilt(), harm.lasts) == (3, faults.CUT_SECONDS)


def test_the_engine_is_spoilt_by_a_file_and_the_clock_by_another(site: Any) -> None:
    harm = do(site, "engine half", None)
    assert '"half"' in site.spoiling.read_text()
    harm.undo()
    harm.undo()
    assert not site.spoiling.exists()
    assert harm.spoilt() == 0, "the three were spoilt before"
    harm = do(site, "clock", None)
    assert site.clock.read_text() == "+3600s"
    harm.undo()
    assert site.clock.read_text() == "+0s"


def test_a_disk_that_is_not_full_is_no_full_disk(site: Any) -> None:
    assert os.statvfs(site.home).f_bavail
    assert not do(site, "disk full", None).is_seen

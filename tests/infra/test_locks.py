"""A lock whose file its holder removes: at no time two holders, and who waits reads whom he waits for."""

import os
import subprocess
import sys
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from infra import file_locks as locks
from infra.file_locks import is_free, locked, remote_kind


def silent(text: str) -> None:
    pass


def test_of_three_runs_that_take_turns_two_are_never_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are threads: a lock on an open file keeps them apart as it does processes."""
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.0)
    path = tmp_path / "work.lock"
    inside: list[int] = []

    def run(number: int) -> int:
        for _ in range(100):
            with locked(path, "", silent):
                inside.append(number)
                time.sleep(0.0005)
                assert inside == [number]
                inside.pop()
                path.unlink()
        return 100

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(run, range(3))) == 300
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_was_removed_in_between_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "work.lock"
    take = locks._take
    times = 0

    def just_after_its_removal(file: object) -> bool:
        nonlocal times
        times += 1
        if times == 1:
            path.unlink()
        return take(file)  # type: ignore[arg-type]

    monkeypatch.setattr(locks, "_take", just_after_its_removal)
    with locked(path, "", silent) as file:
        assert os.path.samestat(path.stat(), os.fstat(file.fileno()))


def test_who_waits_is_told_for_whom_and_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.05)
    path = tmp_path / "work.lock"
    told: list[str] = []
    twice = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            twice.set()

    def wait() -> None:
        with locked(path, "", tell):
            pass

    with ThreadPoolExecutor() as threads:
        with locked(path, "flow run 7f2", silent):
            waiting = threads.submit(wait)
            assert twice.wait(10)
            assert not is_free(path)
        waiting.result(10)
    assert f"process {os.getpid()} on " in told[0]
    assert "flow run 7f2" in told[0]
    assert is_free(path)


def test_a_child_that_outlives_its_parent_holds_the_lock_on(tmp_path: Path) -> None:
    path = tmp_path / "work.lock"
    with locked(path, "", silent) as file:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[file.fileno()])
    assert not is_free(path)
    child.communicate(b"\n")
    assert is_free(path)
    assert is_free(tmp_path / "never-made.lock")


def test_a_network_file_system_is_known_by_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = namedtuple("mount", "mountpoint fstype")
    mounts = [mount("/", "ext4"), mount(str(tmp_path), "nfs4"), mount(str(tmp_path / "scratch"), "xfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert remote_kind(tmp_path / "work" / "search") == "nfs4"
    assert remote_kind(tmp_path / "scratch") is None
    assert remote_kind(Path("/")) is None

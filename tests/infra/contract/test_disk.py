"""A full disk, by files that are links to /dev/full: every write to it fails with ENOSPC."""

import errno
import os
import sys
from pathlib import Path

import psutil
import pytest

from infra.contract import disk
from infra.contract.disk import DiskFull, room_in
from infra.stack.process import Daemon

FULL = Path("/dev/full")


def test_what_fails_for_want_of_room_names_the_folder_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"make room there.*CPL_HOME.*retry") as problem, room_in(tmp_path / "not-yet"):
        FULL.write_text("x")
    assert str(tmp_path / "not-yet") in str(problem.value)
    assert "No space left on device" in str(problem.value)
    with pytest.raises(DiskFull) as again, room_in(tmp_path):
        raise problem.value
    assert again.value is problem.value, "said once"


def test_a_disk_that_is_nearly_full_is_told_whatever_broke_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RESERVE_MIB", 1 << 40)
    with pytest.raises(DiskFull, match=r"What failed: RuntimeError: unexpected pos 64 vs 0$"), room_in(tmp_path):
        raise RuntimeError("unexpected pos 64 vs 0\nand a trace")
    with pytest.raises(LookupError), room_in(tmp_path, but=LookupError):
        raise LookupError("a wrong setting")


@pytest.mark.parametrize("problem", [ValueError("row 3"), PermissionError(errno.EACCES, "Permission denied")])
def test_what_failed_for_another_reason_is_left_as_it_is(tmp_path: Path, problem: Exception) -> None:
    with pytest.raises(type(problem)) as seen, room_in(tmp_path):
        raise problem
    assert seen.value is problem


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    disk.write(path, "first", mode=0o600)
    (tmp_path / f"stack.env.{os.getpid()}.part").symlink_to(FULL)
    with pytest.raises(OSError, match="No space left"):
        disk.write(path, "second")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"stack.env": "first"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_process_that_could_not_be_written_down_is_ended(tmp_path: Path) -> None:
    part = Daemon("s3", tmp_path)
    part.pid_file.parent.mkdir()
    part.pid_file.with_name(f"{part.pid_file.name}.{os.getpid()}.part").symlink_to(FULL)
    before = psutil.Process().children()
    with pytest.raises(OSError, match="No space left"):
        part.start([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, tmp_path)
    assert psutil.Process().children() == before
    assert part.process() is None

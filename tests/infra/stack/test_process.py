"""Processes by their pid: recycled, stubborn, under another clock, without a parent; and their logs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.stack import process
from infra.stack.process import LOG_MIB, MARK, Daemon, belonging_to, birth, trim

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    part = Daemon("worker", tmp_path)
    with subprocess.Popen(SLEEP) as bystander:
        part.pid_file.parent.mkdir()
        for born in ("another-boot/1", None, ""):
            part.pid_file.write_text(json.dumps({"pid": bystander.pid, "born": born}))
            assert part.process() is None
            assert part.end() is False
        assert bystander.poll() is None
        bystander.kill()


def test_a_clock_that_is_set_changes_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil tells a process's start by the kernel's time of boot, which moves with the clock."""
    part = Daemon("worker", tmp_path)
    part.start(SLEEP, os.environ, tmp_path)
    started = part.process()
    assert started is not None
    told, booted = started.create_time(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 3600)
    assert psutil.Process(started.pid).create_time() == told + 3600
    assert part.process() == started
    assert part.end() is True
    assert birth(started.pid) is None


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    part = Daemon("stubborn", tmp_path)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    part.start([sys.executable, "-c", stubborn], os.environ, tmp_path)
    while "on" not in part.log_tail():
        time.sleep(0.05)
    assert part.end(patience=0.2) is True
    assert part.process() is None


def test_a_child_that_lost_its_parent_is_found_by_its_home(tmp_path: Path) -> None:
    part, other = Daemon("worker", tmp_path / "one"), Daemon("worker", tmp_path / "another")
    parent = f"import subprocess, time; subprocess.Popen({SLEEP!r}, start_new_session=True); time.sleep(60)"
    part.start([sys.executable, "-c", parent], os.environ, tmp_path)
    other.start(SLEEP, os.environ, tmp_path)
    while len(belonging_to(tmp_path / "one")) < 2:
        time.sleep(0.05)
    started = part.process()
    assert started is not None
    started.kill()
    started.wait()
    (orphan,) = belonging_to(tmp_path / "one")
    assert orphan.cmdline() == SLEEP
    assert [one.pid for one in belonging_to(tmp_path / "another")] == [getattr(other.process(), "pid", None)]
    process.end([orphan], 5)
    other.end()
    assert belonging_to(tmp_path / "one") == []


def test_who_asks_is_not_among_what_it_would_end(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from infra.stack.process import belonging_to; "
        f"print(belonging_to(Path({str(tmp_path)!r})))"
    )
    environment = os.environ | {MARK: str(tmp_path), "PYTHONPATH": os.getcwd()}
    asked = ["sh", "-c", f'"{sys.executable}" -c "$0"; true', code]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_a_large_log_starts_anew_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "s3.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"small\n")
        trim(log)
        assert log.read_bytes() == b"small\n"
        writer.write(b"x" * (LOG_MIB << 20) + b"\nlast\n")
        trim(log)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    kept = (tmp_path / "s3.previous.log").read_bytes()
    assert kept.endswith(b"\nlast\n")
    assert len(kept) == LOG_MIB << 20

"""A sandbox for a test, and what runs without one, to show what it holds back."""

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import pytest

from infra.sandbox import Ended, Limits, NoSandbox, Sandbox
from tasks.check.programs import INSIDE
from tasks.check.programs_inside import Line, answer_calls, main


def sandbox(limits: Limits | None = None) -> Sandbox:
    """Skips the test where the machine allows none; in CI it must (.ci/run installs bubblewrap)."""
    try:
        return Sandbox(limits)
    except NoSandbox as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


def bare(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """How a program ends that nothing holds, and what it prints."""
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def answering(program: str, entry_point: str) -> Iterator[Line]:
    """A line to `answer_calls`, which runs in a thread."""
    here, there = socket.socketpair()
    line, its = Line(here.detach()), Line(there.detach())
    thread = threading.Thread(target=answer_calls, args=(its, entry_point, program))
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join(10)
        its.close()


class Unconfined:
    """A program and its tests in this process, where nothing holds them: for programs that a test wrote itself."""

    async def run_pair(self, program: object, tests: Sequence[str], called: Sequence[str]) -> tuple[Ended, Ended]:
        assert program is INSIDE
        front, back = (str(end.detach()) for end in socket.socketpair())
        thread = threading.Thread(target=main, args=(*called, back))
        thread.start()
        flushed = io.BytesIO()  # the rest is lost when a process ends
        with redirect_stdout(io.TextIOWrapper(flushed)):
            main(*tests, front)
            thread.join(10)
            return Ended(0, flushed.getvalue()), Ended(0, b"")

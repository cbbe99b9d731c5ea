"""A running stack over a repository with our prefect.yaml and small flows in the places of the real ones."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from infra.environment import stack_variables
from infra.stack import api
from infra.stack.local import WORKER, Stack
from tests.infra.stack.browser import Browser

ROOT = Path(__file__).parents[3]
CRASHED = {"state": {"type": "CRASHED"}, "force": True}

ROUND = """
import os, subprocess, sys, time
from prefect import flow
from flows.words import WORD

@flow(name="cpl")
def cpl(seconds: float = 0) -> str:
    if seconds:
        child = subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep({seconds})"], start_new_session=True
        )
        open("child.pid", "w").write(str(child.pid))
        child.wait()
    open("seen.txt", "w").write(f"{WORD} {os.environ['AWS_ENDPOINT_URL']} {os.getcwd()}")
    return WORD
"""
"""A flow with a child in a session of its own, as a trainer is."""


def make_repository(root: Path) -> Path:
    shutil.copy(ROOT / "prefect.yaml", root)
    (root / "flows").mkdir()
    (root / "flows/__init__.py").touch()
    (root / "flows/words.py").write_text('WORD = "sibling"\n')
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        file, flow = deployment["entrypoint"].split(":")
        text = ROUND.replace("cpl(", f"{flow}(").replace('"cpl"', f'"{flow.replace("_", "-")}"')
        (root / file).write_text(text)
    return root


@contextmanager
def running_stack(root: Path, home: str = ".cpl") -> Iterator[Stack]:
    """A stack that is up, with nothing of ours in the environment; it is down in the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "AWS_", "CPL_"))]:
            patch.delenv(name)
        stack = Stack(root / home, root)
        try:
            stack.up(print)
            yield stack
        finally:
            stack.down(print)


def in_repository(stack: Stack, *command: str) -> subprocess.CompletedProcess[str]:
    """What a user types in the repository's root: nothing of the stack is in this environment."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=stack.root, capture_output=True, text=True, timeout=120, check=False
    )


def start_long_flow(stack: Stack) -> psutil.Process:
    """The child that a flow run waits for."""
    child_pid = stack.root / "child.pid"
    child_pid.unlink(missing_ok=True)
    started = in_repository(stack, "prefect", "deployment", "run", "cpl/round", "--param", "seconds=300")
    assert started.returncode == 0, started.stdout + started.stderr
    wait_for(lambda: child_pid.exists() and bool(child_pid.read_text()), stack)
    return psutil.Process(int(child_pid.read_text()))


def open_ui(window: Browser, home: Path, path: str) -> None:
    """A page of the UI, as who knows the login of the stack in `home` sees it."""
    ui = stack_variables(home)["PREFECT_API_URL"].removesuffix("/api")
    window.open(ui)
    window.run(f"localStorage.setItem('prefect-password', btoa({json.dumps(api.login(home))}))")
    window.open(ui + path)


def wait_for(is_true: Callable[[], bool], stack: Stack, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, stack.parts[WORKER].log_tail(60)
        time.sleep(0.1)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def process_of(stack: Stack, name: str) -> psutil.Process:
    process = stack.parts[name].process()
    assert process is not None, f"{name} does not run"
    return process

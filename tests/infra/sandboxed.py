"""A sandbox for a test, and what runs without one, to show what it holds back."""

import os
import subprocess
import sys

import pytest

from infra.sandbox import Limits, NoSandbox, Sandbox


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

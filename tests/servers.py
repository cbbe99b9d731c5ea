"""Real servers for tests, on free ports of 127.0.0.1 and in a folder of the test; ended by their own pid."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.certificates import certificates
from infra.stack import weed
from infra.stack.process import Daemon

KEY, SECRET = "test-key", "test-secret-test-secret"


class Weed:
    """An S3 server that a test may kill and start again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.part = Daemon("s3", folder)
        self.ports = dict(zip(weed.ROLES, weed.free_ports(len(weed.ROLES)), strict=True))
        self.command = weed.command(folder, self.ports, KEY, SECRET)
        self.folder = folder
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports['s3']}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "CPL_STORE": "s3://cpl",
            "CPL_HOME": str(folder / "home"),
        }

    def start(self) -> None:
        self.part.start(self.command, os.environ, self.folder)
        _wait_for(lambda: weed.is_ready(self.folder, self.ports), self.part)

    def kill(self) -> None:
        process = self.part.process()
        assert process is not None
        process.kill()
        process.wait()


@contextmanager
def start_weed(folder: Path) -> Iterator[dict[str, str]]:
    """An S3 server on `folder` as long as the context lasts; gives the environment that leads to it."""
    server = Weed(folder)
    try:
        server.start()
        yield server.environment
    finally:
        server.part.end(patience=0.1)


@contextmanager
def start_prefect(folder: Path) -> Iterator[dict[str, str]]:
    """A Prefect server with its data in `folder`; gives the environment that leads to it."""
    (port,) = weed.free_ports(1)
    environment = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    part = Daemon("prefect", folder)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    try:
        part.start(command, os.environ | environment, folder)
        _wait_for(lambda: _answers(f"{environment['PREFECT_API_URL']}/health"), part)
        yield environment
    finally:
        part.end()


@contextmanager
def start_postgres(folder: Path) -> Iterator[dict[str, str]]:
    """A Postgres in `folder`; gives the variables that lead a Prefect server to it. None where Postgres is missing."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which("initdb", path=os.pathsep.join([os.environ["PATH"], *map(str, places)]))
    if found is None:
        yield {}
        return
    tools, data = Path(found).resolve().parent, folder / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    as_user = ["unshare", "--map-user=1000"] if os.geteuid() == 0 else []  # it refuses root
    (folder / "password").write_text(SECRET)
    options = ["--auth=scram-sha-256", "--username=cpl", f"--pwfile={folder / 'password'}", "--no-sync"]
    subprocess.run([*as_user, str(tools / "initdb"), *options, str(data)], check=True, capture_output=True)
    (port,) = weed.free_ports(1)
    part = Daemon("postgres", folder)
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", f"unix_socket_directories={data}"]
    try:
        part.start([*as_user, str(tools / "postgres"), "-D", str(data), "-p", str(port), *settings], os.environ, folder)
        ready = [str(tools / "pg_isready"), "--host=127.0.0.1", f"--port={port}"]
        _wait_for(lambda: subprocess.run(ready, capture_output=True).returncode == 0, part)
        yield {
            "PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg",
            "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
            "PREFECT_SERVER_DATABASE_PORT": str(port),
            "PREFECT_SERVER_DATABASE_USER": "cpl",
            "PREFECT_SERVER_DATABASE_NAME": "postgres",
            "PREFECT_SERVER_DATABASE_PASSWORD": SECRET,
        }
    finally:
        part.end()


def small_disk(folder: Path, mib: float) -> list[str]:
    """Words before a command that give it, and it alone, an empty disk of `mib` MiB at `folder`; no root is needed."""
    mount = f'mount -t tmpfs -o size={int(mib * 1024)}k tmpfs "$0" && exec "$@"'
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("a small disk to fill needs `unshare --map-root-user --mount`, which this machine does not allow")
    return words


def run_python(code: str, environment: dict[str, str], timeout: float = 120) -> str:
    """Runs a script in a fresh interpreter that can import the repository; returns its output."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=timeout,
    ).stdout


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5, verify=certificates()).status_code < 500
    except httpx.HTTPError:
        return False


def _wait_for(is_ready: Callable[[], bool], part: Daemon, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_ready():
        assert part.process() is not None, f"{part.name} ended while it started:\n{part.log_tail()}"
        assert time.monotonic() < deadline, f"{part.name} does not answer:\n{part.log_tail()}"
        time.sleep(0.05)

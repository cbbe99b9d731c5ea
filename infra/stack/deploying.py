"""Deploys while the servers start, in a process of its own, if the deployments changed."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

Deploy = Callable[[float], str]
"""Waits so many seconds at most for the end, and returns the digest of what was deployed. Raises RuntimeError."""


@contextmanager
def deploying(
    root: Path, environment: Mapping[str, str], database: str, logs: Path, deployed: str | None
) -> Iterator[Deploy | None]:
    """Begins to deploy prefect.yaml of `root`, unless `deployed` is its digest: then there is nothing to wait for.

    `database`: the place of the server's; one that is new to it has no deployments yet.
    """
    digest, log = _digest(root, database), logs / "deploy.log"
    if deployed == digest:
        yield None
        return
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.stack.deploy"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=root,
        )

    def wait(seconds: float) -> str:
        with suppress(subprocess.TimeoutExpired):
            if process.wait(seconds) == 0:
                return digest
        end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"Deploying prefect.yaml failed, or took over {seconds:.0f} s. The end of {log}:\n{end}")

    try:
        yield wait
    finally:
        process.kill()
        process.wait()


def _digest(root: Path, database: str) -> str:
    """Of everything that is put on the server (prefect.yaml, the code that the forms come from, the automations), and
    of the database that it is put into."""
    files = [root / "prefect.yaml", *map(Path(__file__).with_name, ("deploy.py", "automations.yaml"))]
    files += [*(file for folder in ("flows", "tasks", "infra/contract") for file in (root / folder).rglob("*.*"))]
    digest = hashlib.sha256(database.encode())
    for file in sorted(file for file in files if file.suffix in {".yaml", ".toml", ".py"}):
        digest.update(f"{file}\n".encode() + file.read_bytes())
    return digest.hexdigest()

"""The local stack: a Prefect server, its workers and the S3 server, on 127.0.0.1 (`cpl up`, `down`, `status`).

Everything it keeps is below one folder (CPL_HOME, `.cpl`):

    stack.json   ports, chosen once; what was deployed; a digest of the variables that each worker started with
    stack.env    addresses and keys (mode 600)
    pids/ logs/  one file a part                             prefect/ s3/   data of the servers
"""

import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from dotenv import dotenv_values
from pydantic import BaseModel

from infra import disk, weed
from infra.process import Part
from infra.settings import add_stack

Say = Callable[[str], None]

SERVER, STORE, WORKER, SEARCHER = "Prefect server", "S3 server", "worker", "search worker"
START_SECONDS = 120.0
END_SECONDS = {SERVER: 10.0, STORE: 2.0, WORKER: 20.0, SEARCHER: 20.0}
"""What each part gets to end by itself. weed would wait 15 s for its own streams; what it acknowledged survives a
kill. A worker reports the flow runs that it ends."""
POOL = "cpl"
WORKERS = {WORKER: ["--work-queue", "default"], SEARCHER: ["--work-queue", "shards", "--limit", "1"]}
"""Shards wait for each other and never for the rounds that wait for them, nor a round for another's shards."""
VARIABLES = ("CPL_", "AWS_", "HF_", "CUDA_VISIBLE_DEVICES")
"""What flows read of the environment that their worker started with."""
OURS = "# Written by `cpl up`: `prefect` commands in this folder talk to the local stack.\n"


class StackError(RuntimeError):
    """A part of the stack did not come up, or cannot be started here."""


class PartStatus(BaseModel):
    name: str
    state: Literal["running", "not answering", "stopped"]
    pid: int | None
    started_at: datetime | None
    address: str | None
    log: Path


class Stack:
    """The stack in the folder `home`; `root` is the folder of prefect.yaml, in which flows run."""

    def __init__(self, home: Path, root: Path) -> None:
        self.home, self.root = home.absolute(), root.absolute()
        names = {SERVER: "prefect", STORE: "s3", WORKER: "worker", SEARCHER: "searcher"}
        self.parts = {name: Part(short, self.home) for name, short in names.items()}
        kept = self.home / "stack.json"
        self.state: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}

    def up(self, say: Say) -> None:
        """Starts what does not run and deploys what changed; does nothing where nothing is missing.

        Workers whose variables changed start anew, unless that would end a flow run.

        Raises:
            StackError: when a part does not come up; what did come up stays.
            DiskFull: when that is for want of room.
        """
        if not (self.root / "prefect.yaml").exists():
            raise StackError(f"There is no prefect.yaml in {self.root}: run `cpl up` in the root of the repository.")
        with disk.room_in(self.home), self._locked():
            self._settle()
            new = [name for name in (STORE, SERVER) if self._start(name, say)]
            with self._deploying(say) as deploy:
                for name in (STORE, SERVER):
                    self._wait_for(name, say if name in new else _silent)
                self._end_outdated(say)
                new = [name for name in WORKERS if self._start(name, say)]
                deploy()
                for name in WORKERS:
                    self._wait_for(name, say if name in new else _silent)

    def down(self, say: Say) -> None:
        """Ends the parts and what the worker started. Data, keys and ports stay for the next `up`."""
        with self._locked():
            for name in (*WORKERS, SERVER, STORE):
                ended = self.parts[name].end(END_SECONDS[name])
                say(f"{name}: {'ended' if ended else 'was not running'}")

    def status(self) -> list[PartStatus]:
        addresses = {SERVER: self.ui, STORE: self.store} if self.state else {}
        return [self._status(name, addresses.get(name)) for name in self.parts]

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.state['ports']['prefect']}"

    @property
    def store(self) -> str:
        return f"http://127.0.0.1:{self.state['ports']['s3']}"

    def environment(self) -> dict[str, str]:
        """What the parts find in their environment, and with them the flows that the worker starts."""
        environment, stack = dict(os.environ), dotenv_values(self.home / "stack.env")
        environment |= {name: str(value) for name, value in stack.items() if name.startswith("PREFECT_")}
        add_stack(environment, stack)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # every flow run is a fresh interpreter
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        return environment

    def _settle(self) -> None:
        """Chooses ports and keys where that was not done yet, and writes down what others need to find the stack."""
        if "ports" not in self.state:
            roles = ("prefect", *weed.ROLES)
            self._keep(ports=dict(zip(roles, weed.free_ports(len(roles)), strict=True)))
        known = dotenv_values(self.home / "stack.env")
        variables = {
            "PREFECT_API_URL": f"{self.ui}/api",
            "PREFECT_HOME": self.home / "prefect",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": 30,
            "PREFECT_WORKER_QUERY_SECONDS": 2,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": 1,
            "AWS_ENDPOINT_URL": self.store,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": known.get("AWS_ACCESS_KEY_ID") or secrets.token_hex(10),
            "AWS_SECRET_ACCESS_KEY": known.get("AWS_SECRET_ACCESS_KEY") or secrets.token_hex(20),
        }
        lines = "".join(f"{name}='{value}'\n" for name, value in variables.items())
        disk.write(self.home / "stack.env", lines, mode=0o600)
        for_prefect = self.root / "prefect.toml"
        if not for_prefect.exists() or for_prefect.read_text().startswith(OURS):
            for_prefect.write_text(f'{OURS}[api]\nurl = "{self.ui}/api"\n')

    def _keep(self, **facts: Any) -> None:
        self.state |= facts
        disk.write(self.home / "stack.json", json.dumps(self.state, indent=1))

    def _start(self, name: str, say: Say) -> bool:
        """Starts a part unless it runs; whether it did."""
        part = self.parts[name]
        if part.process() is not None:
            return False
        say(f"{name}: starting")
        for role in {SERVER: ("prefect",), STORE: weed.ROLES}.get(name, ()):
            if not weed.is_free(port := self.state["ports"][role]):
                raise StackError(
                    f"{name}: port {port} of 127.0.0.1 is taken by another program. End that, or run `cpl down`, "
                    f"delete {self.home / 'stack.json'} and run `cpl up`, which then chooses other ports."
                )
        part.start(self._command(name), self.environment(), self.root)
        if name in WORKERS:
            self._keep(variables=self.state.get("variables", {}) | {name: self._variables()})
        return True

    def _end_outdated(self, say: Say) -> None:
        """Ends the workers that were started with other variables, if no flow runs; otherwise says that they stay."""
        known, now = self.state.get("variables", {}), self._variables()
        outdated = [name for name in WORKERS if self.parts[name].process() and known.get(name, now) != now]
        if not outdated:
            return
        names = ", ".join(f"{name}*" if name.endswith("_") else name for name in VARIABLES)
        if self._is_busy():
            say(
                f"Variables changed since the workers started ({names}), and flows are running: these and new ones "
                "keep the old variables. `cpl up` applies yours when no flow runs; `cpl down`, `cpl up` do it now, and "
                "end what runs."
            )
            return
        say(f"Variables changed since the workers started ({names}): they start anew")
        for name in outdated:
            self.parts[name].end(END_SECONDS[name])

    def _variables(self) -> str:
        """A digest of the variables that a worker would start with. CPL_HOME is this stack's, however it is written."""
        found = {
            name: text for name, text in self.environment().items() if name.startswith(VARIABLES) and name != "CPL_HOME"
        }
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

    def _is_busy(self) -> bool:
        """Whether a flow run of the pool has a process or is about to; also where the server does not say."""
        alive = {"any_": ["PENDING", "RUNNING", "PAUSED", "CANCELLING"]}
        runs = {"flow_runs": {"state": {"type": alive}}, "work_pools": {"name": {"any_": [POOL]}}}
        try:
            reply = httpx.post(f"{self.ui}/api/flow_runs/count", json=runs, timeout=5)
        except httpx.HTTPError:
            return True
        return not reply.is_success or reply.json() > 0

    def _command(self, name: str) -> list[str]:
        prefect = [sys.executable, "-m", "prefect"]
        if name == SERVER:
            port = str(self.state["ports"]["prefect"])
            return [*prefect, "server", "start", "--host", "127.0.0.1", "--port", port]
        if name in WORKERS:
            worker = ["worker", "start", "--pool", POOL, "--type", "process", "--name", self.parts[name].name]
            return [*prefect, *worker, *WORKERS[name]]
        keys = dotenv_values(self.home / "stack.env")
        return weed.command(
            self.home / "s3",
            self.state["ports"],
            str(keys["AWS_ACCESS_KEY_ID"]),
            str(keys["AWS_SECRET_ACCESS_KEY"]),
        )

    def _wait_for(self, name: str, say: Say) -> None:
        part, begun = self.parts[name], time.monotonic()
        while not self._answers(name):
            tail = f"The end of {part.log}:\n{part.log_tail()}"
            if part.process() is None:
                raise StackError(f"{name}: it ended while it started. {tail}")
            if time.monotonic() - begun > START_SECONDS:
                raise StackError(f"{name}: no answer for {START_SECONDS:.0f} s; `cpl down` ends it. {tail}")
            time.sleep(0.1)
        say(f"{name}: ready")

    def _answers(self, name: str) -> bool:
        try:
            if name == STORE:
                return weed.is_ready(self.state["ports"])
            if name == SERVER:
                return httpx.get(f"{self.ui}/api/health", timeout=5).is_success
            return self._polls(self.parts[name])
        except httpx.HTTPError:
            return False

    def _polls(self, worker: Part) -> bool:
        """Whether the server has heard from this very worker, not only from one before it."""
        process = worker.process()
        reply = httpx.post(f"{self.ui}/api/work_pools/{POOL}/workers/filter", json={}, timeout=5)
        if process is None or not reply.is_success:
            return False
        heard = [
            datetime.fromisoformat(one["last_heartbeat_time"]) for one in reply.json() if one["name"] == worker.name
        ]
        return any(moment.timestamp() > process.create_time() for moment in heard)

    @contextmanager
    def _deploying(self, say: Say) -> Iterator[Callable[[], None]]:
        """Begins to deploy, if flows or deployments changed since the last time; gives what waits for the end."""
        digest, log = _digest(self.root), self.home / "logs" / "deploy.log"
        if self.state.get("deployed") == digest:
            yield lambda: None
            return
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.deploy"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment(),
                cwd=self.root,
            )

        def wait() -> None:
            say("deployments: writing")
            if process.wait(START_SECONDS) != 0:
                end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
                raise StackError(f"Deploying prefect.yaml failed. The end of {log}:\n{end}")
            self._keep(deployed=digest)
            say("deployments: ready")

        try:
            yield wait
        finally:
            process.kill()
            process.wait()

    def _status(self, name: str, address: str | None) -> PartStatus:
        part = self.parts[name]
        if (process := part.process()) is None:
            return PartStatus(name=name, state="stopped", pid=None, started_at=None, address=address, log=part.log)
        return PartStatus(
            name=name,
            state="running" if self._answers(name) else "not answering",
            pid=process.pid,
            started_at=datetime.fromtimestamp(process.create_time(), UTC),
            address=address,
            log=part.log,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up` or `down` at a time; the lock goes with the process that holds it."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "stack.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self.home / "stack.json"
            self.state = json.loads(kept.read_text()) if kept.exists() else {}
            yield


def _silent(_: str) -> None:
    pass


def _digest(root: Path) -> str:
    """Of everything that a deployment is made from: prefect.yaml and the code that its parameter forms come from."""
    files = [root / "prefect.yaml", *(file for folder in ("flows", "tasks") for file in (root / folder).rglob("*.*"))]
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.suffix in {".yaml", ".toml", ".py"}):
        digest.update(f"{file}\n".encode() + file.read_bytes())
    return digest.hexdigest()

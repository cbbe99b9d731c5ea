"""The local stack: a Prefect server, its workers and the S3 server, on 127.0.0.1 (`cpl up`, `down`, `status`).

Everything it keeps is below one folder (CPL_HOME, `.cpl`):

    stack.json   ports, chosen once; what was deployed; a digest of what each part started with
    stack.env    addresses, keys and the login (mode 600; infra.stack.variables)
    database.json   what the Prefect server is told of its database (mode 600; infra.stack.database)
    pids/ logs/  one file a part                             prefect/ s3/   data of the servers

Long, for what `up` starts is what `status` tells and `down` ends.
"""

import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
from pydantic import BaseModel, Field

from infra.contract import disk
from infra.environment import add_stack, stack_variables
from infra.stack import api, database, variables, weed
from infra.stack.deploying import Deploy, deploying
from infra.stack.process import Daemon, belonging_to, end_belonging, trim, variables_of

Say = Callable[[str], None]

SERVER, STORE, WORKER, SEARCHER, WATCH = "Prefect server", "S3 server", "worker", "search worker", "watch"
SHORT = {SERVER: "prefect", STORE: "s3", WORKER: "worker", SEARCHER: "searcher", WATCH: "watch"}
START_SECONDS = 120.0
END_SECONDS = {SERVER: 10.0, STORE: 2.0, WORKER: 20.0, SEARCHER: 20.0, WATCH: 5.0}
"""What each part gets to end by itself. weed would wait 15 s for its own streams; what it acknowledged survives a
kill. A worker reports the flow runs that it ends."""
POOL = "cpl"
WORKERS = {
    WORKER: ["--work-queue", "default"],
    SEARCHER: ["--work-queue", "shards", "--work-queue", "trainings", "--limit", "1"],
}
"""What rounds start waits for its like and never for the rounds that wait for it, nor a round for another's."""
SERVERS, CLIENTS = (STORE, SERVER), (*WORKERS, WATCH)
"""What listens, and what needs that."""
VARIABLES = ("CPL_", "AWS_", "HF_", "CUDA_VISIBLE_DEVICES", "PREFECT_")
"""What workers, and with them flows, read of the environment that they started with. The S3 server reads none."""
LEAN = dict.fromkeys(WORKERS, variables.LEAN_WORKER) | {STORE: weed.LEAN, SERVER: variables.LEAN_SERVER}
READS = dict.fromkeys(CLIENTS, VARIABLES) | {SERVER: ("PREFECT_",), STORE: ()}


class StackError(RuntimeError):
    """A part of the stack did not come up, or cannot be started here."""


class PartStatus(BaseModel):
    name: str
    state: Literal["running", "not answering", "stopped"]
    pid: int | None
    started_at: datetime | None
    mebibytes: float | None = Field(None, description="Memory of its own process, what it shares counted by its share.")
    cores: float | None = Field(None, description="Cores that it kept busy, on average since it was started.")
    address: str | None
    log: Path


class Stack:
    """The stack in the folder `home`; `root` is the folder of prefect.yaml, in which flows run."""

    def __init__(self, home: Path, root: Path) -> None:
        self.home, self.root = home.absolute(), root.absolute()
        self.parts = {name: Daemon(short, self.home) for name, short in SHORT.items()}
        kept = self.home / "stack.json"
        self.state: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}

    def up(self, say: Say) -> None:
        """Starts what does not run and deploys what changed; does nothing where nothing is missing.

        Parts whose variables or command changed start anew, unless that would end a flow run.

        Raises:
            StackError: when a part does not come up; what did come up stays. Before anything is touched, when the
                variables name another database than the one that is kept.
            DiskFull: when that is for want of room.
        """
        if not (self.root / "prefect.yaml").exists():
            raise StackError(f"There is no prefect.yaml in {self.root}: run `cpl up` in the root of the repository.")
        with disk.room_in(self.home), self._locked():
            self._settle_database()
            if "ports" not in self.state:
                roles = ("prefect", *weed.ROLES)
                self._keep(ports=dict(zip(roles, weed.free_ports(len(roles)), strict=True)))
            variables.settle(self.home, self.root, self.state["ports"])
            self._end_outdated(say)
            new = [name for name in SERVERS if self._start(name, say)]
            place, logs = database.place(database.kept(self.home)), self.home / "logs"
            with deploying(self.root, self.environment(), place, logs, self.state.get("deployed")) as deploy:
                for name in SERVERS:
                    self._wait_for(name, say if name in new else _silent)
                new = [name for name in CLIENTS if self._start(name, say)]
                self._deploy(deploy, say)
                for name in CLIENTS:
                    self._wait_for(name, say if name in new else _silent)
            self.trim_logs()

    def down(self, say: Say) -> None:
        """Ends the parts and all that they started: flows, trainers, engines, orphans included. Data, keys and ports
        stay for the next `up`."""
        with self._locked():
            for name in (WATCH, *WORKERS):
                self._end(name, say)
            self._end_rest(say, but=SERVERS)  # before the server, to which flows report that they were ended
            for name in (SERVER, STORE):
                self._end(name, say)
            self._end_rest(say)

    def mend(self, say: Say) -> list[str]:
        """Starts again what ended though nobody asked it to; the names. Nothing while `up` or `down` is at work."""
        with self._locked(patiently=False) as is_ours:
            parts = self.parts.items() if is_ours else ()
            dead = [name for name, part in parts if part.pid_file.exists() and not part.process()]
            if set(dead) - set(SERVERS) and not api.answers(self.home):
                dead = [name for name in dead if name in SERVERS]  # the others end at once while it is away
            return [name for name in dead if self._start(name, say)]

    def trim_logs(self) -> None:
        for part in self.parts.values():
            trim(part.log)

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
        """What the parts find in their environment, and with them the flows that the worker starts. The server's
        database is nothing to any but the server."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith(database.PREFIXES)}
        stack = stack_variables(self.home)
        environment |= {name: value for name, value in stack.items() if name.startswith("PREFECT_")}
        add_stack(environment, stack)
        environment["CPL_HOME"] = str(self.home)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # every flow run is a fresh interpreter
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        return environment

    def _settle_database(self) -> None:
        server = self.parts[SERVER].process()
        try:
            database.settle(self.home, os.environ, variables_of(server.pid) if server else None)
        except ValueError as problem:
            raise StackError(str(problem)) from problem

    def _keep(self, **facts: Any) -> None:
        self.state |= facts
        disk.write(self.home / "stack.json", json.dumps(self.state, indent=1))

    def _start(self, name: str, say: Say) -> bool:
        """Starts a part unless it runs; whether it did."""
        part, command = self.parts[name], self._command(name)
        if part.process() is not None:
            return False
        for process in belonging_to(self.home):
            with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
                if process.cmdline() == command:  # `up` was killed before it could write this down
                    part.remember(process.pid)
                    return False
        say(f"{name}: starting")
        for role in {SERVER: ("prefect",), STORE: weed.ROLES}.get(name, ()):
            if not weed.is_free(port := self.state["ports"][role]):
                raise StackError(
                    f"{name}: port {port} of 127.0.0.1 is taken by another program. End that, or run `cpl down`, "
                    f"delete {self.home / 'stack.json'} and run `cpl up`, which then chooses other ports."
                )
        folder = self.home / "s3" if name == STORE else self.root
        part.start(command, LEAN.get(name, {}) | self._environment_of(name), folder)
        self._keep(started=self.state.get("started", {}) | {name: self._makeup(name)})
        return True

    def _end(self, name: str, say: Say) -> None:
        ended = self.parts[name].end(END_SECONDS[name])
        say(f"{name}: {'ended' if ended else 'was not running'}")

    def _end_rest(self, say: Say, but: Collection[str] = ()) -> None:
        """Ends what belongs to the stack and to none of the parts in `but`, and says so."""
        kept = {process.pid for name in but if (process := self.parts[name].process())}
        end_belonging(self.home, kept, lambda lost: say(f"left by its parent, ended: {lost}"))

    def _end_outdated(self, say: Say) -> None:
        """Ends parts that were started with another command or other variables. While a flow runs, it only says so."""
        known = self.state.get("started", {})
        outdated = [
            name
            for name in (*CLIENTS, SERVER, STORE)
            if self.parts[name].process() and known.get(name) != self._makeup(name)
        ]
        if not outdated:
            return
        names = ", ".join(f"{name}*" if name.endswith("_") else name for name in VARIABLES)
        if api.is_busy(self.home, POOL):
            say(
                f"Variables changed since {', '.join(outdated)} started ({names}), or the factory itself, and flows "
                "are running: these and new ones keep the old variables. `cpl up` applies yours when no flow runs; "
                "`cpl down`, `cpl up` do it now, and end what runs."
            )
            return
        say(f"Variables changed since they started ({names}), or the factory itself: {', '.join(outdated)} start anew")
        for name in outdated:
            self.parts[name].end(END_SECONDS[name])

    def _environment_of(self, name: str) -> dict[str, str]:
        """The part's environment: of the factory's variables only those that it reads. From AWS keys weed would make an
        administrator."""
        found = {key: text for key, text in self.environment().items() if not key.startswith(VARIABLES)}
        return found | self._read_by(name)

    def _read_by(self, name: str) -> dict[str, str]:
        """Of the factory's variables."""
        found = {key: text for key, text in self.environment().items() if key.startswith(READS[name])}
        return found | (database.kept(self.home) if name == SERVER else {})

    def _makeup(self, name: str) -> str:
        """A digest of the command and the variables that a part would start with."""
        made_of = [self._command(name), LEAN.get(name, {}), self._read_by(name)]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def _command(self, name: str) -> list[str]:
        prefect = [sys.executable, "-m", "prefect"]
        if name == SERVER:
            port = str(self.state["ports"]["prefect"])
            return [*prefect, "server", "start", "--host", "127.0.0.1", "--port", port]
        if name in WORKERS:
            worker = ["worker", "start", "--pool", POOL, "--type", "process", "--name", self.parts[name].name]
            return [*prefect, *worker, *WORKERS[name]]
        if name == WATCH:
            return [sys.executable, "-m", "infra.stack.watch"]
        keys = stack_variables(self.home)
        return weed.command(
            self.home / "s3", self.state["ports"], keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]
        )

    def _deploy(self, deploy: Deploy | None, say: Say) -> None:
        if deploy is None:
            return
        say("deployments: writing")
        try:
            self._keep(deployed=deploy(START_SECONDS))
        except RuntimeError as problem:
            raise StackError(str(problem)) from problem
        say("deployments: ready")

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
                return weed.is_ready(self.home / "s3", self.state["ports"])
            if name == SERVER:
                return api.answers(self.home)
            return name == WATCH or self._polls(self.parts[name])
        except httpx.HTTPError:
            return False

    def _polls(self, worker: Daemon) -> bool:
        """Whether the server has heard from this very worker, not only from one before it."""
        if (process := worker.process()) is None:
            return False
        workers = api.ask(self.home, "POST", f"/work_pools/{POOL}/workers/filter", {})
        heard = [datetime.fromisoformat(one["last_heartbeat_time"]) for one in workers if one["name"] == worker.name]
        return any(moment.timestamp() > process.create_time() for moment in heard)

    def _status(self, name: str, address: str | None) -> PartStatus:
        part = self.parts[name]
        if (process := part.process()) is None:
            return PartStatus(name=name, state="stopped", pid=None, started_at=None, address=address, log=part.log)
        busy = process.cpu_times()
        return PartStatus(
            name=name,
            state="running" if self._answers(name) else "not answering",
            pid=process.pid,
            started_at=datetime.fromtimestamp(process.create_time(), UTC),
            mebibytes=process.memory_full_info().pss / 2**20,
            cores=(busy.user + busy.system) / max(time.time() - process.create_time(), 1.0),
            address=address,
            log=part.log,
        )

    @contextmanager
    def _locked(self, patiently: bool = True) -> Iterator[bool]:
        """One `up` or `down` at a time; the lock goes with the process that holds it. False: another holds it."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # copies of the store's objects lie there
        with (self.home / "stack.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if patiently else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            kept = self.home / "stack.json"
            self.state = json.loads(kept.read_text()) if kept.exists() else {}
            yield True


def _silent(_: str) -> None:
    pass

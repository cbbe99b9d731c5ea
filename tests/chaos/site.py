"""The stack on which the matrix is played: its home on a small disk, its store behind a proxy, its engine scripted."""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.engine.server import local_engine
from infra.environment import ROOT, Environment, stack_variables
from infra.stack import api
from infra.stack.local import SEARCHER, SERVER, STORE, WORKER, Stack
from infra.stack.process import belonging_to, variables_of
from infra.store import Store
from tests.chaos.engine import SPOILING, SPOILT_LOG, launcher
from tests.chaos.proxy import Call, Proxy

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
"""Of Debian's libfaketime. weed asks the kernel itself: its clock stays right."""
ENDS = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PAUSED")
RETRY = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}


class Site:
    """The stack; `running` for as long as that lasts. `watch` is told of every call of the store, and may hold it."""

    def __init__(
        self, home: Path, watch: Callable[[Call], threading.Event | None], real_engine: bool, clock: bool
    ) -> None:
        self.home, self.watch = home, watch
        self.logs = home.with_name(home.name.replace("home", "logs"))
        self.spoiling = home / "spoiling.json"
        self.clock = home / "clock"
        os.environ |= {
            "CPL_HOME": str(home),
            "CPL_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",  # a user's worker waits for 5 s before it looks again
            SPOILING: str(self.spoiling),
        }
        if not real_engine:
            os.environ["CPL_ENGINE_PYTHON"] = str(launcher(home))
        if clock:
            if not Path(FAKETIME).exists():
                raise SystemExit(f"a clock that can be moved needs {FAKETIME} (Debian: apt-get install libfaketime)")
            self.clock.write_text("+0s")
            os.environ |= {
                "LD_PRELOAD": FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        self.stack = Stack(home, ROOT)

    @contextmanager
    def running(self) -> Iterator["Site"]:
        try:
            self.stack.up(print)
            known = stack_variables(self.home)
            with Proxy(known["AWS_ENDPOINT_URL"], self.watch) as self.proxy:
                os.environ |= {name: text for name, text in known.items() if name.startswith("AWS_")}
                os.environ["AWS_ENDPOINT_URL"] = self.proxy.url
                self.stack.up(print)
                self.store = Store.open(Environment(home=self.home, store="s3://cpl"))
                yield self
        finally:
            self.stack.down(lambda line: None)
            shutil.copytree(self.home / "logs", self.logs, dirs_exist_ok=True)

    def ask(self, path: str, document: Any = None) -> Any:
        """What Prefect's server answers; None where it does not."""
        with suppress(httpx.HTTPError):
            return api.ask(self.home, "GET" if document is None else "POST", path, document)
        return None

    def start(self, **parameters: Any) -> str:
        """A run of cpl/round, as `cpl round` starts it."""
        asked = {"parameters": parameters, "idempotency_key": str(uuid.uuid4())}
        made: list[str] = []

        def create() -> bool:
            if found := self.ask("/deployments/name/cpl/round"):
                made.extend(
                    run["id"] for run in [self.ask(f"/deployments/{found['id']}/create_flow_run", asked)] if run
                )
            return bool(made)

        assert wait_for(create, 60, 1.0), "Prefect's server takes no run"
        return made[0]

    def state(self, run: str) -> dict[str, Any]:
        """Of a run: its type, message and id; of a server that does not answer an empty one."""
        found = self.ask(f"/flow_runs/{run}")
        return (found or {}).get("state") or {"type": "", "message": "", "id": ""}

    def retry(self, run: str) -> bool:
        """As the UI's button does; whether it was taken."""
        answer = self.ask(f"/flow_runs/{run}/set_state", {"state": RETRY, "force": True})
        return bool(answer) and answer["status"] == "ACCEPT"

    def cancel(self, run: str) -> None:
        self.ask(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
        for process in self.flows():
            process.kill()

    def let_in(self, at_once: int) -> None:
        """How many rounds run at once."""
        self.ask("/work_pools/cpl/queues/default")  # it is there since `up`
        with httpx.Client(auth=tuple(api.login(self.home).split(":", 1))) as client:  # type: ignore[arg-type]
            address = f"{self.stack.ui}/api/work_pools/cpl/queues/default"
            client.patch(address, json={"concurrency_limit": at_once}).raise_for_status()

    def part(self, name: str) -> psutil.Process | None:
        return self.stack.parts[name].process()

    def flows(self) -> list[psutil.Process]:
        """The processes of flow runs: what the workers started. Rounds first."""
        found = []
        for name in (WORKER, SEARCHER):
            with suppress(psutil.Error):
                if worker := self.part(name):
                    found += [one for one in worker.children() if one.status() != psutil.STATUS_ZOMBIE]
        return [one for one in found if "PREFECT__FLOW_RUN_ID" in variables_of(one.pid)]

    def victim(self, name: str, shard: bool) -> psutil.Process | None:
        """The process that is killed or stopped; of a shard the search worker and its flow. None: there is none now."""
        if name in ("store", "server", "worker"):
            return self.part({"store": STORE, "server": SERVER, "worker": SEARCHER if shard else WORKER}[name])
        if name == "engine":
            engine = local_engine(Environment(home=self.home))
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(engine.pid) if engine else None
            return None
        if name == "flow":
            worker = self.part(SEARCHER if shard else WORKER)
            of_worker = [one for one in self.flows() if worker and one.ppid() == worker.pid]
            return of_worker[0] if of_worker else None
        trainers = []
        for process in belonging_to(self.home):
            with suppress(psutil.Error):
                if any(word.startswith("trainers.") for word in process.cmdline()):
                    trainers.append(process)
        return trainers[0] if trainers else None

    def spoilt(self) -> int:
        """Answers that the scripted engine has spoilt so far."""
        log = self.home / "engine" / SPOILT_LOG
        return len(log.read_bytes()) if log.exists() else 0

    def parts_are_up(self) -> bool:
        with suppress(httpx.HTTPError, psutil.Error):
            return all(part.state == "running" for part in self.stack.status())
        return False

    def orphans(self) -> list[str]:
        """What belongs to the stack and is no part of it, nor started by a part that lives."""
        kept = {process.pid for name in self.stack.parts if (process := self.part(name))}
        with_children = kept | {
            child.pid
            for pid in kept
            if psutil.pid_exists(pid)
            for child in psutil.Process(pid).children(recursive=True)
        }
        found = []
        for process in belonging_to(self.home):
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                of_a_flow = any(word in line for word in ("trainers.", "tests.chaos.engine", "vllm"))
                if process.pid not in with_children or process in self.flows() or of_a_flow:
                    found.append(line[:120])
        return found


def fill(folder: Path) -> Path:
    """Takes all the room that is left on the disk of `folder`; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        left = shutil.disk_usage(folder).free
        while left > 4096:
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), left)
                file.seek(0, os.SEEK_END)
                left = shutil.disk_usage(folder).free
                continue
            left //= 2
    return ballast


def wait_for(is_true: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True

"""The stack's watch, `python -m infra.stack.watch`: starts dead servers again, and finds lost runs.

Prefect's server knows a run by its heartbeats only. They also stop when the server is away, or when a healthy run
computes without a pause. So the watch looks for a silent run's process before it calls the run crashed. On another
machine it cannot look: there a run's silence counts, while the server listens.
"""

import math
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.environment import Environment
from infra.stack import api
from infra.stack.local import Stack
from infra.stack.process import variables_of

LOOK_SECONDS = 10.0
LONGEST_PAUSE = 300.0
"""Between looks while a part dies again and again."""
SILENCE = 90.0
"""Seconds. A run sends a heartbeat every 30 s (PREFECT_FLOWS_HEARTBEAT_FREQUENCY)."""
GONE = "its process is gone"
ENDS = {"RUNNING": "Crashed", "CANCELLING": "Cancelled"}
"""States that a run can be lost in, and what it is then."""


@dataclass(frozen=True)
class Heartbeat:
    """The newest one of a run, and when it was first seen, by this machine's monotonic clock."""

    event: str
    seen: float


class Watch:
    """Over the flow runs of the Prefect server of the stack in `home`."""

    def __init__(self, home: Path, silence: float = SILENCE) -> None:
        self.home, self.silence = home, silence
        self._heard: dict[str, Heartbeat] = {}
        self._looked = time.monotonic()

    def look(self) -> list[str]:
        """Marks lost runs as crashed and returns their ids. Nobody else would mark them, and they could not be retried.

        A run without any heartbeat has none to miss. A suspended or paused run waits for a person and may be silent.
        One that was being cancelled is cancelled: nobody is to retry it.
        """
        try:
            state = {"type": {"any_": [*ENDS]}}
            runs = self._ask("/flow_runs/filter", {"flow_runs": {"state": state}})
            newest = {run["id"]: self._newest_heartbeat(run["id"]) for run in runs}
        except httpx.HTTPError:
            self._heard.clear()  # nobody can be heard: every silence begins anew when the server is back
            return []
        now = time.monotonic()
        if now - self._looked > self.silence:
            self._heard.clear()  # this process stood still, perhaps all did
        self._looked = now
        known = self._heard
        self._heard = {
            run: known[run] if run in known and known[run].event == event else Heartbeat(event, now)
            for run, event in newest.items()
            if event
        }
        silent = [run for run in runs if run["id"] in self._heard and now - self._heard[run["id"]].seen > self.silence]
        return [run["id"] for run in silent if not self._lives(run) and self._end(run["id"])]

    def _lives(self, run: dict[str, Any]) -> bool:
        """Whether the run's process lives on this machine. A flow that another one called runs in that one's."""
        pid = str(run["infrastructure_pid"] or "")
        if pid.isdigit():
            return variables_of(int(pid)).get("PREFECT__FLOW_RUN_ID") == run["id"]
        if not run["parent_task_run_id"]:
            return False
        caller = {"task_runs": {"id": {"any_": [run["parent_task_run_id"]]}}}
        return any(self._lives(one) for one in self._ask("/flow_runs/filter", caller))

    def _end(self, run: str) -> bool:
        """Whether it could be said: a run that ended just now has its own state."""
        ended = ENDS.get(api.ask(self.home, "GET", f"/flow_runs/{run}")["state_type"])
        if ended is None:
            return False
        state = {"type": ended.upper(), "name": ended, "message": f"No heartbeat for {self.silence:.0f} s: {GONE}."}
        return bool(self._ask(f"/flow_runs/{run}/set_state", {"state": state})["status"] == "ACCEPT")

    def _newest_heartbeat(self, run: str) -> str | None:
        wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": {"id": [f"prefect.flow-run.{run}"]}}
        events = self._ask("/events/filter", {"filter": wanted | {"order": "DESC"}, "limit": 1})["events"]
        return str(events[0]["id"]) if events else None

    def _ask(self, path: str, document: Any) -> Any:
        return api.ask(self.home, "POST", path, document)


def main() -> None:
    here = Environment()
    stack = Stack(here.home, Path.cwd())
    watch, pause = Watch(stack.home), LOOK_SECONDS
    write_metrics = _metrics(stack, here.metrics) if here.metrics else lambda: None
    while True:
        time.sleep(pause)
        try:
            pause = min(2 * pause, LONGEST_PAUSE) if stack.mend(_say) else LOOK_SECONDS
            for run in watch.look():
                _say(f"flow run {run}: {GONE}")
            stack.trim_logs()
            write_metrics()
        except Exception:  # it goes on: nobody watches the watch
            traceback.print_exc()


def _metrics(stack: Stack, folder: Path) -> Callable[[], None]:
    """Writes them to the folder when it is called, but not more often than they are read."""
    from infra.stack.metrics import WRITE_SECONDS, Metrics  # its library is needed where they are asked for

    metrics, written = Metrics(stack.home, stack.parts), -math.inf

    def write() -> None:
        nonlocal written
        if time.monotonic() - written >= WRITE_SECONDS:
            written = time.monotonic()
            metrics.write(folder)

    return write


def _say(line: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

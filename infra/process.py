"""Processes that outlive the command that started them, and are ended by their own pid only.

A pid alone can be another process after a restart of the machine, so what is kept is the pid with the moment at
which that process started.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from infra import disk

PATIENCE = 10.0
"""Seconds that a process gets to end after it was asked to."""


def birth(pid: int) -> str | None:
    """When a process was born: the boot of the machine, and clock ticks since then. None when it does not run.

    Not a moment: `create_time` and whatever else is told in seconds since 1970 moves when the wall clock is set.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # the name may hold blanks
    except (FileNotFoundError, ProcessLookupError):
        return None
    if state in ("Z", "X"):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[18]}"


class Part:
    """One process of the stack by name, with its pid file and log below the stack's folder."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.pid_file = home / "pids" / f"{name}.json"
        self.log = home / "logs" / f"{name}.log"

    def process(self) -> psutil.Process | None:
        """The process that was started last, if it still runs."""
        if not self.pid_file.exists():
            return None
        known = json.loads(self.pid_file.read_text())
        try:
            process = psutil.Process(known["pid"])
            started, state = process.create_time(), process.status()
        except psutil.NoSuchProcess:
            return None
        return None if started != known["started"] or state == psutil.STATUS_ZOMBIE else process

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Starts the command in `folder`, away from this terminal: Ctrl-C here does not reach it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        try:
            born = psutil.Process(started.pid).create_time()
            disk.write(self.pid_file, json.dumps({"pid": started.pid, "started": born}))
        except Exception:
            started.kill()  # nobody would find it to end it
            started.wait()
            raise

    def end(self, patience: float = PATIENCE) -> bool:
        """Asks the process to end, then its children that did not follow, and kills what is left after `patience`
        seconds each. False when it did not run."""
        process = self.process()
        if process is not None:
            children = process.children(recursive=True)
            end([process], patience)
            end([child for child in children if child.is_running()], patience)
        self.pid_file.unlink(missing_ok=True)
        return process is not None

    def log_tail(self, lines: int = 20) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def end(processes: list[psutil.Process], patience: float) -> None:
    """Terminates, waits, kills."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience)

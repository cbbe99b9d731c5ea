"""Processes that outlive the command that started them, and are ended by their own pid only.

A pid alone can be another process later, so it is kept with the process's birth. All processes of a stack carry its
home in their environment. A process that lost its parent is found by that mark.
"""

import json
import os
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from infra.contract import disk

PATIENCE = 10.0
"""Seconds that a process gets to end after it was asked to."""
MARK = "CPL_STACK"
"""The variable that holds the home of the stack that a process belongs to."""
LOG_MIB = 8
"""What a log grows to before it starts anew; the one before is kept."""


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
    return f"{_boot()}/{fields[18]}"


def session(pid: int, born: str) -> list[psutil.Process]:
    """What runs in the session of this process, which led it; also when the process itself is gone."""
    if birth(pid) not in (None, born) or not born.startswith(f"{_boot()}/"):
        return []  # a living session's number is not given out again: another process under it means all are gone
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) == pid:
                found.append(process)
    return found


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def variables_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty when it is gone, or another user's."""
    try:
        found = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return {name: text for name, _, text in (entry.partition("=") for entry in found) if name}


def belonging_to(home: Path) -> list[psutil.Process]:
    """The living processes of the stack of `home`, grandchildren included, without the process that asks and its
    parents."""
    asking = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    wanted = str(home.resolve())
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in asking and variables_of(process.pid).get(MARK) == wanted
    ]


class Daemon:
    """One process of the stack by name, with its pid file and log below the stack's folder."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.pid_file = home / "pids" / f"{name}.json"
        self.log = home / "logs" / f"{name}.log"

    def process(self) -> psutil.Process | None:
        """The process that was started last, if it still runs."""
        if not self.pid_file.exists():
            return None
        known = json.loads(self.pid_file.read_text())
        born = birth(known["pid"])
        if born is None or born != known.get("born"):
            return None
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(known["pid"])
        return None

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Starts the command in `folder`, away from this terminal: Ctrl-C here does not reach it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        trim(self.log)
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, MARK: str(self.home.resolve())},
                cwd=folder,
                start_new_session=True,
            )
        try:
            self.remember(started.pid)
        except Exception:
            started.kill()  # nobody would find it to end it
            started.wait()
            raise

    def remember(self, pid: int) -> None:
        """Writes down that this is the part's process."""
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        disk.write(self.pid_file, json.dumps({"pid": pid, "born": birth(pid)}))

    def end(self, patience: float = PATIENCE) -> bool:
        """Terminates the process, then the rest of its session, and kills each after `patience` seconds. False when it
        did not run.

        A process that leads a session of its own is another part, started again by the watch, and has its own turn.
        """
        process = self.process()
        self.pid_file.unlink(missing_ok=True)
        if process is not None:
            followers = [one for one in session(process.pid, birth(process.pid) or "") if one != process]
            end([process], patience)
            end([one for one in followers if one.is_running()], patience)
        return process is not None

    def log_tail(self, lines: int = 20) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def end(processes: Iterable[psutil.Process], patience: float) -> None:
    """Terminates, waits, kills."""
    processes = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience)


def end_belonging(home: Path, but: Collection[int], say: Callable[[str], None]) -> None:
    """Ends what belongs to the home's stack, apart from these pids; `say` gets a line for each.

    Parents go first, and end their children themselves: a flow whose engine ended before it would report an accident.
    """
    for _ in range(5):  # who is ended may have started another just before
        rest = {process.pid: process for process in belonging_to(home) if process.pid not in but}
        first = []
        for process in rest.values():
            with suppress(psutil.NoSuchProcess):
                if process.ppid() not in rest:
                    say(f"{' '.join(process.cmdline())[:100]} (pid {process.pid})")
                    first.append(process)
        end(first, PATIENCE)


def trim(log: Path) -> None:
    """Moves a large log to `NAME.previous.log`. Its writer appends, and may go on meanwhile."""
    if log.exists() and log.stat().st_size > LOG_MIB << 20:
        with log.open("rb+") as file:
            file.seek(-(LOG_MIB << 20), os.SEEK_END)
            log.with_name(f"{log.stem}.previous.log").write_bytes(file.read())
            file.truncate(0)

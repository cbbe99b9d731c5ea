"""How this machine makes a sandbox, or what to install or allow where it makes none.

Of the machine a program sees the interpreter, the standard library and the folders of the libraries that these load,
read-only. There is nothing that it can write, no /proc, /sys, /dev or /etc, no home and no other program.
"""

import marshal
import os
import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.sandbox import inside
from infra.sandbox.calls import LIBRARY, refused_calls
from infra.sandbox.inside import CONFINED

SWITCHES = {
    "kernel/unprivileged_userns_clone": "1",
    "kernel/apparmor_restrict_unprivileged_userns": "0",
    "user/max_user_namespaces": "10000",
}
"""Of /proc/sys: what lets ordinary users make namespaces, and where."""
START = ("-s", "-S", "-P", "-B", "-X", "utf8", "-c", Path(inside.__file__).read_text())
"""Options of the interpreter: no site-packages, no bytecode written, and what runs first."""


ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""Of the interpreter's start, gone before the program's: the order of a set is no reason for another verdict."""
PROOF = "import os\nassert not os.environ and os.geteuid() != 0 and not os.path.exists('/proc')"
ONLY = "Programs that a model wrote run in a sandbox only"


class NoSandbox(RuntimeError):
    """This machine cannot hold a program that nobody trusts; the message says what to install or allow."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How a sandbox is started here. `command` lacks the open files that each start has of its own."""

    command: tuple[str, ...]
    refused: bytes
    is_root: bool

    @contextmanager
    def handed(self, given: bytes) -> Iterator[tuple[list[str], list[int]]]:
        """The whole command, and the open files that it is handed: what `inside.py` reads, and the filter."""
        descriptors = [os.memfd_create("given"), os.memfd_create("refused")]
        try:
            for descriptor, content in zip(descriptors, (given, self.refused), strict=True):
                with open(descriptor, "wb", closefd=False) as file:
                    file.write(content)
                os.lseek(descriptor, 0, os.SEEK_SET)
            read, refused = map(str, descriptors)
            bubblewrap, *rest = self.command
            yield [bubblewrap, "--seccomp", refused, *rest, *START, read], descriptors
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def user(self) -> int | None:
        """A user of no name and no files, another at every start: the kernel counts its threads apart. None where
        bubblewrap's own namespace of users keeps the program from being anybody."""
        return (1 << 30) + secrets.randbelow(1 << 30) if self.is_root else None


@cache
def machine() -> Machine:
    """Looks once at what there is, and runs a program to see that it is enough (half a second).

    Raises:
        NoSandbox: something lacks. The message says what to install or allow.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise NoSandbox(
            f"{ONLY}: install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap libseccomp2; "
            "Fedora: dnf install bubblewrap libseccomp)"
        )
    try:
        refused = refused_calls()
    except OSError as problem:
        raise NoSandbox(
            f"{ONLY}, and it needs {LIBRARY}: install libseccomp (Debian, Ubuntu: apt-get install libseccomp2; "
            f"Fedora: dnf install libseccomp); {problem}"
        ) from problem
    is_root = os.geteuid() == 0
    python = os.path.realpath(sys.executable)
    found = Machine((bubblewrap, *options(is_root, files(python)), "--", python), refused, is_root)
    with found.handed(marshal.dumps((found.user(), {}, PROOF, []))) as (command, descriptors):
        tried = subprocess.run(
            command,
            env=ENVIRONMENT,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if tried.stdout != CONFINED:
        raise NoSandbox(way_out(" ".join(tried.stdout.decode(errors="replace").split()), is_root, switches()))
    return found


def options(is_root: bool, seen: Sequence[str]) -> list[str]:
    """Of bubblewrap. Root needs no namespace of users: in one it would be root still where files and limits are asked.
    It keeps what it needs to become somebody else, which `inside.py` does."""
    if is_root:
        who = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        who = ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    above = {str(parent): None for path in seen for parent in reversed(Path(path).parents[:-1])}
    return [
        *who,
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--die-with-parent", "--new-session", "--hostname", "sandbox"),
        *(word for path in above for word in ("--dir", path)),  # else bubblewrap makes them for their owner alone
        *(word for path in seen for word in ("--ro-bind", path, path)),
        *("--remount-ro", "/", "--chdir", "/"),
    ]


def files(python: str) -> list[str]:
    """What the interpreter is made of: itself, the standard library, and where the libraries of both are."""
    library = sysconfig.get_path("stdlib")
    parts = [python, *map(str, Path(library).glob("lib-dynload/*.so"))]
    told = subprocess.run([shutil.which("ldd") or "ldd", *parts], capture_output=True, text=True, check=False)
    folders = {os.path.dirname(name) for name in re.findall(r"(/\S+) \(0x", told.stdout)}
    return outermost({python, library, *folders})


def outermost(paths: set[str]) -> list[str]:
    """Without those that lie in another one."""
    return sorted(path for path in paths if not any(str(above) in paths for above in Path(path).parents))


def way_out(told: str, is_root: bool, switches: Mapping[str, str]) -> str:
    """What to do where bubblewrap is there and may not work: `told` is what it said, `switches` are those of SWITCHES
    that the machine has, with their values."""
    closed = [
        f"sysctl -w {name.replace('/', '.')}={SWITCHES[name]}"
        for name, value in switches.items()
        if (value == "0") != (SWITCHES[name] == "0")
    ]
    if closed and not is_root:
        do = f"as root: {'; '.join(closed)}"
    else:
        do = (
            "start the container with --cap-add SYS_ADMIN --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined, or use a machine that lets users make namespaces"
        )
    return f"{ONLY}, and bubblewrap may not make one here ({told}): {do}"


def switches() -> dict[str, str]:
    """Those of SWITCHES that this machine has."""
    paths = {name: Path("/proc/sys", name) for name in SWITCHES}
    return {name: path.read_text().strip() for name, path in paths.items() if path.is_file()}

"""Programs that try to get out of the sandbox: none does, and without it those that may be tried without it do."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.environment import ROOT
from infra.sandbox import Ended, Limits, NoSandbox, Sandbox
from infra.sandbox import inside as within
from infra.sandbox.machine import START, machine, outermost, way_out
from tests.infra.sandboxed import bare, sandbox

LIMITS = Limits(work=1, clock=8, memory=256 << 20, threads=4, output=1 << 16)
SECRET = "not-for-models"
HARMLESS = {
    "reads the environment": f"""
import glob, os
seen = repr(dict(os.environ)).encode()
for path in glob.glob("/proc/[0-9]*/environ"):
    try: seen += open(path, "rb").read()
    except OSError: pass
if b"{SECRET}" in seen: print("ESCAPED")
""",
    "reads the home folder": """
import os, sys
print("ESCAPED", open(sys.argv[1]).read(), os.listdir(os.path.dirname(sys.argv[1])))
""",
    "looks at the machine": """
import os
for path in ("/proc/self", "/sys/kernel", "/dev/null", "/etc/passwd", "/tmp", "/bin/sh", "/usr/bin/env"):
    if os.path.exists(path): print("ESCAPED", path)
""",
    "writes outside": """
import os, sys
def folders():
    yield os.path.dirname(sys.argv[1])
    for folder, _, _ in os.walk("/"): yield folder
for folder in folders():
    try: open(os.path.join(folder, "written"), "w").write("x" * 10)
    except OSError: continue
    print("ESCAPED", folder)
    break
""",
    "opens a socket": """
import socket, sys
port = int(sys.argv[2])
with socket.create_connection(("127.0.0.1", port), timeout=5) as connection: connection.sendall(b"ESCAPED")
print("ESCAPED")
""",
    "asks the host of a virtual machine": """
import socket
for family in (socket.AF_INET6, socket.AF_NETLINK, socket.AF_VSOCK, socket.AF_ALG):
    try: socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM)
    except PermissionError: continue
    except OSError: pass
    print("ESCAPED", family)
""",
    "starts a process": """
import subprocess, sys
subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
print("ESCAPED")
""",
    "leaves a process behind": """
import os, time
if os.fork():
    print("ESCAPED")
else:
    os.closerange(0, 64)
    os.setsid()
    time.sleep(2)
""",
    "takes memory": """
taken = bytearray(1 << 29)
print("ESCAPED")
""",
    "takes memory that no limit counts": """
import ctypes
taken = ctypes.CDLL(None, use_errno=True).memfd_create(b"taken", 0)
if taken >= 0: print("ESCAPED")
""",
    "makes a namespace of its own": """
import ctypes
if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0: print("ESCAPED")
""",
    "starts threads": """
import threading
end = threading.Event()
threading.stack_size(1 << 20)
threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(16)]
for thread in threads: thread.start()
print("ESCAPED")
end.set()
""",
    "prints without end": """
for _ in range(100_000): print("x" * 100)
print("ESCAPED")
""",
    "works without end": """
import sys, time
while time.process_time() < float(sys.argv[3]): pass
print("ESCAPED")
""",
    "waits without end": """
import sys, time
time.sleep(float(sys.argv[3]))
print("ESCAPED")
""",
}
"""None of these does harm where nothing holds it. Arguments: a file outside, the port of a server, seconds."""
HARMFUL = {
    "fork bomb": "import os\nwhile True:\n    os.fork()\n    print('ESCAPED')",
    "fork bomb past Python": "import ctypes\nc = ctypes.CDLL(None)\nwhile c.fork() >= 0: print('ESCAPED')\n",
    "kills all it can name": """
import os, signal
for pid in (os.getppid(), -1, *range(1, 70_000)):
    if pid != os.getpid():
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
print("it lives")
""",
    "does not hear that its work is over": """
import signal, time
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while time.process_time() < 3: pass
print("ESCAPED")
""",
    "becomes root": """
import os
for become in (os.setuid, os.setgid, os.seteuid, lambda nobody: os.setgroups([nobody]), lambda _: os.nice(-1)):
    try: become(0)
    except OSError: continue
    print("ESCAPED", become)
if 0 in (os.getuid(), os.getgid(), *os.getgroups()): print("ESCAPED")
""",
    "uses what was left open": """
import os
for descriptor in range(3, 64):
    try: print("ESCAPED", descriptor, os.fstat(descriptor))
    except OSError: pass
""",
    "raises its limits": """
import resource
for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE"):
    hard = resource.getrlimit(getattr(resource, name))[1]
    if hard == resource.RLIM_INFINITY: print("ESCAPED", name)
    try: resource.setrlimit(getattr(resource, name), (hard + 1, hard + 1))
    except ValueError: continue
    print("ESCAPED", name)
""",
}
"""Tried in the sandbox alone."""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A file, and the port of a server, that a program is not to reach."""
    file = tmp_path_factory.mktemp("home") / "key"
    file.write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield [str(file), str(server.getsockname()[1])]


@pytest.fixture(autouse=True, scope="module")
def secret() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KEY", SECRET)
        yield


def run(source: str, *arguments: str) -> Ended:
    return asyncio.run(sandbox(LIMITS).run(source, *arguments))


@pytest.fixture(scope="module")
def ends(outside: list[str]) -> dict[str, Ended]:
    """How each of the programs ends that tries to get out; all run at once."""

    async def all_of_them() -> dict[str, Ended]:
        inside = sandbox(LIMITS)
        running = (inside.run(source, *outside, "600") for source in (HARMLESS | HARMFUL).values())
        return dict(zip(HARMLESS | HARMFUL, await asyncio.gather(*running), strict=True))

    return asyncio.run(all_of_them())


@pytest.mark.integration
@pytest.mark.parametrize("name", [*HARMLESS, *HARMFUL])
def test_a_program_does_not_get_out(name: str, ends: dict[str, Ended]) -> None:
    ended = ends[name]
    assert b"ESCAPED" not in ended.output
    assert b"SyntaxError" not in ended.output
    if name != "does not hear that its work is over":  # it is killed by the kernel, or by the clock
        assert ended.is_out_of_time == (name in ("works without end", "waits without end"))
    assert ended.is_flooding == (name == "prints without end")
    assert len(ended.output) < 2 * LIMITS.output
    if name == "kills all it can name":
        assert ended == Ended(0, b"it lives\n")


@pytest.mark.integration
@pytest.mark.parametrize("name", HARMLESS)
def test_without_the_sandbox_it_does(name: str, outside: list[str]) -> None:
    assert "ESCAPED" in bare(HARMLESS[name], *outside, "0.1").stdout


AS_NOBODY = """
import asyncio, sys
from infra.sandbox import Limits, Sandbox
async def main(file, port, *sources):
    sandbox = Sandbox(Limits(work=1, clock=10, memory=256 << 20, threads=4, output=1 << 16))
    for ended in await asyncio.gather(*(sandbox.run(source, file, port) for source in sources)):
        print(ended.output)
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="is an ordinary user already")
def test_it_holds_for_an_ordinary_user_too(outside: list[str]) -> None:
    """With a copy of the code and an interpreter that others may read: root's own may be in its home."""
    sandbox()
    as_nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
    pythons = [os.path.realpath(sys.executable), *map(str, Path("/usr/bin").glob("python3.1[1-9]"))]
    python = next((path for path in pythons if is_startable(path, as_nobody)), None)
    if python is None:
        pytest.skip("no interpreter that an ordinary user may start")
    sources = [
        text for name, text in (HARMLESS | HARMFUL).items() if "without end" not in name and "is over" not in name
    ]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(ROOT / "infra/sandbox", Path(folder, "infra/sandbox"))
        file = Path(folder, "key")
        file.write_text(SECRET)
        told = subprocess.run(
            [python, "-B", "-c", AS_NOBODY, str(file), outside[1], *sources],
            **as_nobody, cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "ESCAPED" not in told.stdout
    assert "it lives" in told.stdout
    assert len(told.stdout.splitlines()) == len(sources)


def is_startable(python: str, by: dict[str, Any]) -> bool:
    try:
        return subprocess.run([python, "-c", "pass"], **by, cwd="/", check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.integration
def test_what_it_is_given_and_what_it_says() -> None:
    """Its arguments, a name that is not this machine's, an empty environment, no input; both streams and the status."""
    source = """
import os, socket, sys
print(sys.argv[1:], socket.gethostname(), dict(os.environ), repr(sys.stdin.read()), os.getcwd(), __name__, flush=True)
sys.exit("gone")
"""
    ended = run(source, "one", "two\n")
    assert ended == Ended(1, b"['one', 'two\\n'] sandbox {} '' / __main__\ngone\n")
    assert run("print({'a', 'b', 'c', 'd'})") == run("print({'a', 'b', 'c', 'd'})")  # a set's order is not by chance
    assert run("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)").status == 128 + signal.SIGABRT


def descendants() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.integration
def test_nothing_is_left_when_the_caller_goes_away() -> None:
    async def cancelled() -> None:
        inside = sandbox(LIMITS)
        before = descendants()
        running = asyncio.create_task(inside.run_pair("import time\ntime.sleep(600)", [], []))
        while len(descendants() - before) < 6:  # twice bubblewrap, the first process of the namespace, the program
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert descendants() <= before

    asyncio.run(cancelled())


KILLED = """
import asyncio
from infra.sandbox import Sandbox
asyncio.run(Sandbox().run("import time; time.sleep(600)"))
"""


@pytest.mark.integration
def test_nothing_is_left_when_the_factory_is_killed() -> None:
    sandbox()
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT) as factory:
        inside: list[psutil.Process] = []
        while len(inside) < 3:
            time.sleep(0.05)
            inside = psutil.Process(factory.pid).children(recursive=True)
        factory.kill()
    assert not psutil.wait_procs(inside, timeout=10)[1]


@pytest.mark.integration
def test_as_many_at_once_as_there_are_places_while_the_loop_goes_on() -> None:
    async def three() -> tuple[float, float]:
        inside = Sandbox(LIMITS, places=2)
        began = time.monotonic()
        running = asyncio.gather(*(inside.run("import time\ntime.sleep(0.2)") for _ in range(3)))
        longest = 0.0
        while not running.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        return time.monotonic() - began, longest

    sandbox()
    seconds, longest = asyncio.run(three())
    assert seconds > 0.4  # the third waited for a place
    assert longest < 0.2


PAIR = """
import os, sys, time
line = int(sys.argv[-1])
if sys.argv[1] == "front":
    os.write(line, b"called")
    print(os.read(line, 100))
else:
    os.write(line, os.read(line, 100) + b" back")
    print(os.read(line, 100), flush=True)  # nothing: the other one is gone
    time.sleep(float(sys.argv[1]))
"""


@pytest.mark.integration
def test_two_programs_have_a_line_to_each_other() -> None:
    inside = sandbox(LIMITS)
    first, second = asyncio.run(inside.run_pair(PAIR, ["front"], ["0"]))
    assert first == Ended(0, b"b'called back'\n")
    assert second == Ended(0, b"b''\n")
    _, second = asyncio.run(inside.run_pair(PAIR, ["front"], ["600"]))
    assert second == Ended(128 + signal.SIGKILL, b"b''\n")


SLOW = """
    if arguments[0] == "back":
        import time
        time.sleep(0.5)
"""


@pytest.mark.integration
def test_a_program_has_its_last_words_though_it_begins_when_the_other_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Path(within.__file__).read_text().replace("    os.write(1,", SLOW + "    os.write(1,")
    inside = sandbox(LIMITS)
    monkeypatch.setattr("infra.sandbox.machine.START", (*START[:-1], slow))
    monkeypatch.setattr("infra.sandbox.run.LAST_WORDS", 0.1)
    first, second = asyncio.run(inside.run_pair("import sys; print(sys.argv[1])", ["front"], ["back"]))
    assert first == Ended(0, b"front\n")
    assert second == Ended(0, b"back\n")


@pytest.mark.integration
def test_a_sandbox_that_does_not_start_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = sandbox()
    monkeypatch.setattr("infra.sandbox.machine.START", ("-c", "print('nobody was confined')"))
    with pytest.raises(NoSandbox, match="did not start: nobody was confined"):
        asyncio.run(inside.run("print(1)"))


@pytest.mark.integration
def test_a_machine_without_it_says_so_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox()
    with monkeypatch.context() as patched:
        patched.setattr("infra.sandbox.machine.refused_calls", lambda: b"no filter")
        with pytest.raises(NoSandbox, match=r"bubblewrap may not make one here .*seccomp"):
            machine.__wrapped__()
    monkeypatch.setattr("infra.sandbox.calls.LIBRARY", "libnone.so")
    with pytest.raises(NoSandbox, match="apt-get install libseccomp2"):
        machine.__wrapped__()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoSandbox, match="apt-get install bubblewrap"):
        machine.__wrapped__()


def test_the_way_out_names_the_switch_that_is_off() -> None:
    said = "No permissions to create new namespace"
    ubuntu = {"kernel/apparmor_restrict_unprivileged_userns": "1", "user/max_user_namespaces": "96365"}
    debian = {"kernel/unprivileged_userns_clone": "0", "user/max_user_namespaces": "0"}
    assert way_out(said, False, ubuntu).endswith(": sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
    both = "sysctl -w kernel.unprivileged_userns_clone=1; sysctl -w user.max_user_namespaces=10000"
    assert way_out(said, False, debian).endswith(both)
    assert said in way_out(said, False, {})
    for is_root, switches in ((False, {"user/max_user_namespaces": "96365"}), (True, debian)):
        assert "start the container with --cap-add SYS_ADMIN" in way_out(said, is_root, switches)


def test_what_lies_in_a_folder_that_is_seen_is_seen() -> None:
    assert outermost({"/lib/a", "/lib", "/libs/b", "/opt/c/d"}) == ["/lib", "/libs/b", "/opt/c/d"]

"""Runs Python programs, each in a sandbox of its own: no network, no files, no environment, no other process.

Each has bubblewrap's namespaces, a filter of system calls (calls.py), limits of work, memory, threads and open files
(inside.py), and from here limits of output and of the clock. machine.py says what it sees of the machine.
"""

import asyncio
import marshal
import os
import signal
import socket
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from types import CodeType

from infra.sandbox.inside import CONFINED
from infra.sandbox.machine import ENVIRONMENT, NoSandbox, machine

LAST_WORDS = 0.5
"""Seconds that the second of two programs has to end by itself after the first."""
FILES = 64
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one program."""

    work: int = 3
    """Seconds of CPU time, of all its threads. It does not depend on what else the machine does."""
    clock: float = 30.0
    """Seconds by the clock, for a program that does not work but waits."""
    memory: int = 1 << 30
    """Bytes of address space."""
    threads: int = 32
    output: int = 1 << 20
    """Bytes that it prints, on both streams together."""

    def of_kernel(self) -> dict[str, tuple[int, int]]:
        """RLIMIT name: soft and hard. At the soft limit of work the kernel says why; a program may ignore it."""
        return {
            "RLIMIT_CPU": (self.work, self.work + 1),
            "RLIMIT_AS": (self.memory, self.memory),
            "RLIMIT_NPROC": (self.threads, self.threads),
            "RLIMIT_NOFILE": (FILES, FILES),
            "RLIMIT_FSIZE": (0, 0),
            "RLIMIT_CORE": (0, 0),
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: `status` as a shell has it, 128 and the signal where one ended it.

    `output` is what it printed, on both streams. Out of time or flooding, it was killed with all it had started.
    """

    status: int
    output: bytes
    is_out_of_time: bool = False
    is_flooding: bool = False


class Sandbox:
    """Where programs run, `places` at once (default: one a core). Belongs to the event loop that first runs one.

    Raises:
        NoSandbox: this machine allows none; the message says what to install or allow. To see it a program is run,
            once in a process, which takes half a second.
    """

    def __init__(self, limits: Limits | None = None, places: int | None = None) -> None:
        self.limits = limits or Limits()
        self._machine = machine()
        self._places = asyncio.Semaphore(places or len(os.sched_getaffinity(0)))

    async def run(self, program: str | CodeType, *arguments: str) -> Ended:
        """Runs a program, which finds the arguments in `sys.argv[1:]`. A text is compiled in the sandbox: compile none
        that you do not trust.

        Raises:
            NoSandbox: the sandbox did not start; not a line of the program ran.
        """
        async with self._places, self._started(program, arguments) as process:
            return await self._followed(process)

    async def run_pair(self, program: str | CodeType, front: Sequence[str], back: Sequence[str]) -> tuple[Ended, Ended]:
        """Runs a program twice, with these arguments each. They see nothing of each other but a line between them: a
        socket, whose descriptor is the last argument of both. When `front` has ended and `back` has begun, `back` has
        `LAST_WORDS` to end.

        Raises:
            NoSandbox: one did not start; not a line of it ran.
        """
        async with self._places, AsyncExitStack() as stack:
            ends = socket.socketpair()
            with ends[0], ends[1]:
                first, second = [
                    await stack.enter_async_context(self._started(program, arguments, end.fileno()))
                    for arguments, end in zip((front, back), ends, strict=True)
                ]
            begun = asyncio.Event()
            following = asyncio.create_task(self._followed(second, begun))
            try:
                ended = await self._followed(first)
                await begun.wait()  # killed before, it would look like a sandbox that does not start
                await asyncio.wait([following], timeout=LAST_WORDS)
                _kill(second)
                return ended, await following
            finally:
                following.cancel()
                await asyncio.wait([following])  # it lets go of the stream

    @asynccontextmanager
    async def _started(self, program: str | CodeType, arguments: Sequence[str], *line: int) -> AsyncIterator[Process]:
        """The process, killed with all it has in the end. It holds `line`, whose number is its last argument."""
        given = (self._machine.user(), self.limits.of_kernel(), program, [*arguments, *map(str, line)])
        with self._machine.handed(marshal.dumps(given)) as (command, descriptors):
            process = await asyncio.create_subprocess_exec(
                *command,
                env=ENVIRONMENT,
                pass_fds=[*descriptors, *line],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            _kill(process)
            await _gone(process)

    async def _followed(self, process: Process, begun: asyncio.Event | None = None) -> Ended:
        """Reads what it prints to its end or to a limit, where it is killed. Sets `begun` once it does, or ended."""
        output, is_out_of_time, stream = bytearray(), False, process.stdout
        assert stream is not None
        try:
            async with asyncio.timeout(self.limits.clock):
                while len(output) <= self.limits.output and (read := await stream.read(CHUNK)):
                    output += read
                    if begun:
                        begun.set()
        except TimeoutError:
            is_out_of_time = True
        finally:
            if begun:
                begun.set()
        is_flooding = len(output) > self.limits.output
        if is_out_of_time or is_flooding:
            _kill(process)
        status = await _gone(process)
        if not output.startswith(CONFINED):
            raise NoSandbox(f"the sandbox did not start: {output.decode(errors='replace') or f'status {status}'}")
        is_out_of_time |= status == 128 + signal.SIGXCPU
        return Ended(status, bytes(output[len(CONFINED) :]), is_out_of_time, is_flooding)


def _kill(process: Process) -> None:
    """Ends the first process of the sandbox, and the kernel with it whatever is in there."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


async def _gone(process: Process) -> int:
    """Waits until nothing of the sandbox is left: its first process holds the stream as long as it lives, and the
    kernel lets it go last. Gives the status."""
    assert process.stdout is not None
    while await process.stdout.read(CHUNK):
        pass
    status = await process.wait()
    return 128 - status if status < 0 else status

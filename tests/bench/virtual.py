"""An event loop in virtual time: nothing is waited for, its clock jumps to the next timer. For simulations.

`looptime` does the same for tests of pytest, in steps and with much more; a million timers want less.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """All tasks wait for each other: nothing is left that could happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock begins at 0 seconds and stands still while code runs. It knows no files, sockets and threads."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.now


class _Jump(selectors.SelectSelector):
    """Waits for a timer by setting the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits, and no timer runs")
        self.loop.now += timeout
        return []


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class Core:
    """One CPU core, which does one thing at a time, in the order in which they are asked for."""

    def __init__(self) -> None:
        self.busy_seconds = 0.0
        self._free_at = 0.0

    async def work(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self.busy_seconds += seconds
        self._free_at = max(now, self._free_at) + seconds
        await asyncio.sleep(self._free_at - now)

"""Checks answers in processes that can be killed: a costly one costs seconds of work, no more (design D4).

The caller decides most pairs at sight: plain numbers, words, equal formulas. A small pool of workers decides the rest.
When a check fails, its answer is UNDECIDED, and no other is touched.
"""

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from enum import StrEnum
from types import FrameType, TracebackType
from typing import NoReturn, Self

from pebble import ProcessPool

from tasks.check.enclosure import Undecidable
from tasks.check.equivalence import is_equal, is_equal_at_sight, is_same_text

logger = logging.getLogger(__name__)

PROCESSOR_TIME = 1.0
"""Seconds of work for one check: after it the check is given up and the worker goes on with the next. Does not depend
on what else the machine does."""
LAST_RESORT = 4.0
"""Seconds of work after which the worker ends, and another takes its place: C code lets no handler give it up."""
TIMEOUT = 60.0
"""Seconds by the clock for one check, which then does not work but waits: its worker is killed. A machine that is busy
with other work takes long for `LAST_RESORT`."""
PATROL = 1.0
"""Seconds between looks at whether the pool that a check waits for still runs."""
ATTEMPTS = 2
"""Of a check whose process was lost through no fault of the answer."""
LONGEST_NUMBER = 20_000
"""Digits of an integer that a worker reads or writes; Python's own limit is 4,300."""
MEMORY = 2 << 30
"""Bytes of address space a worker: a power tower fails there and not on the machine."""
REMEMBERED = 50_000
"""Pairs whose verdict is kept within a run: siblings in a tree often give the same answer."""

Pair = tuple[str, str]


class Verdict(StrEnum):
    """UNDECIDED (too costly, a crash) is never a reward: it is neither right nor wrong."""

    RIGHT = "right"
    WRONG = "wrong"
    UNDECIDED = "undecided"


class Checker:
    """Compares answers with gold answers. A context manager (plain or async); usable from any thread or event
    loop.

    Args:
        workers: processes; half of the cores, 2 to 8, when not given. They start with the first check that
        needs one (about a second), so a run of plain numbers starts none.
        timeout: seconds for one check in a worker; after it the worker is killed and replaced.
    """

    def __init__(self, workers: int | None = None, timeout: float = TIMEOUT) -> None:
        self._workers = workers or min(8, max(2, (os.cpu_count() or 2) // 2))
        self._timeout = timeout
        self._pool: ProcessPool | None = None
        self._asked: OrderedDict[Pair, Future[bool]] = OrderedDict()
        self._lock = threading.Lock()

    async def check(self, gold: str, answer: str, exact: bool = False) -> Verdict:
        """Verdict on one answer. `exact` compares the text only (micro, multiple choice) and needs no process."""
        pair = (gold, answer)
        verdict = _at_sight(gold, answer, exact)
        for _ in range(ATTEMPTS):
            if verdict is not None:
                return verdict
            asked = self._ask(pair)
            waiting = asyncio.wrap_future(asked)
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # told by `asked`
            while not asked.done() and self._lives():
                # Does not cancel `asked` when this caller is cancelled: others may wait for it.
                await asyncio.wait([waiting], timeout=PATROL)
            verdict = self._verdict(pair, asked)
        return verdict or Verdict.UNDECIDED

    def check_many(self, pairs: Iterable[Pair], exact: bool = False) -> list[Verdict]:
        """Verdicts on (gold, answer) pairs, in their order, all workers busy."""
        at_sight = [(pair, _at_sight(*pair, exact)) for pair in pairs]
        for pair, seen in at_sight:
            if seen is None:
                self._ask(pair)
        return [seen or self._awaited(pair) for pair, seen in at_sight]

    def close(self) -> None:
        """Stops the workers, running checks too."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def _awaited(self, pair: Pair) -> Verdict:
        for _ in range(ATTEMPTS):
            asked = self._ask(pair)
            while not asked.done() and self._lives():
                wait([asked], timeout=PATROL)
            if (verdict := self._verdict(pair, asked)) is not None:
                return verdict
        return Verdict.UNDECIDED

    def _ask(self, pair: Pair) -> "Future[bool]":
        """The check of a pair, running, done or new; the latest ones are remembered."""
        with self._lock:
            pool = self._started()
            future = self._asked.pop(pair, None) or pool.schedule(_judge, pair, timeout=self._timeout)
            self._asked[pair] = future
            if len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)
            return future

    def _started(self) -> ProcessPool:
        """The pool; a new one where a lost forkserver took its workers with it (what they had is asked again)."""
        if self._pool is not None and not self._pool.active:
            logger.warning("The answer checker's processes are lost; starting others")
            for pair, future in list(self._asked.items()):
                if not future.done() or _is_lost(future):
                    future.cancel()
                    del self._asked[pair]
            self.close()
        if self._pool is None:
            # forkserver: safe beside threads and event loops, and a killed worker's successor is forked from
            # a process that has imported the parser already.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["tasks.check.symbolic"])
            self._pool = ProcessPool(max_workers=self._workers, initializer=_prepare, context=context)
        return self._pool

    def _lives(self) -> bool:
        return self._pool is not None and bool(self._pool.active)

    def _verdict(self, pair: Pair, asked: "Future[bool]") -> Verdict | None:
        """What came of a check; None when its worker was lost through no fault of the answer. Only a verdict is
        remembered: the machine may have been busy."""
        is_lost = not asked.done() or _is_lost(asked)
        if not is_lost and (problem := asked.exception()) is None:
            return Verdict.RIGHT if asked.result() else Verdict.WRONG
        self._asked.pop(pair, None)
        if is_lost:
            return None
        gold, answer = pair
        logger.warning("Undecided whether %.80r equals %.80r: %s", answer, gold, str(problem) or type(problem).__name__)
        return Verdict.UNDECIDED


def _at_sight(gold: str, answer: str, exact: bool) -> Verdict | None:
    try:
        decided = is_same_text(gold, answer) if exact else is_equal_at_sight(gold, answer)
    except Exception:
        logger.exception("Undecided whether %.80r equals %.80r", answer, gold)
        return Verdict.UNDECIDED
    return None if decided is None else Verdict.RIGHT if decided else Verdict.WRONG


def _is_lost(asked: "Future[bool]") -> bool:
    return asked.cancelled() or isinstance(asked.exception(), BrokenProcessPool)


class _OutOfTime(BaseException):
    """No Exception, so that no library takes it for a failure of its own."""


def _judge(gold: str, answer: str) -> bool:
    """`is_equal` in a worker, for as long as `PROCESSOR_TIME`."""
    try:
        signal.setitimer(signal.ITIMER_PROF, LAST_RESORT)  # whose signal nobody handles
        signal.setitimer(signal.ITIMER_VIRTUAL, PROCESSOR_TIME)
        try:
            return is_equal(gold, answer)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
    except _OutOfTime:
        raise Undecidable(f"it takes more than {PROCESSOR_TIME} s") from None


def _stop_judging(signum: int, frame: FrameType | None) -> NoReturn:
    raise _OutOfTime


def _prepare() -> None:
    """In a new worker, before its first check."""
    from tasks.check import symbolic

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.set_int_max_str_digits(LONGEST_NUMBER)
    symbolic.load()
    signal.signal(signal.SIGVTALRM, _stop_judging)

"""Checks answers in processes that can be killed: a hanging one costs its timeout, no more (design D4).

Most pairs are decided at sight in the caller (plain numbers, words, equal formulas); the rest goes to a small
pool whose workers import math-verify once. math-verify's own timeouts use SIGALRM and do not work in threads.
"""

import asyncio
import logging
import multiprocessing
import os
import resource
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from enum import StrEnum
from types import TracebackType
from typing import Self

from pebble import ProcessPool

from tasks.check import symbolic
from tasks.check.equivalence import is_equal, is_equal_at_sight, is_same_text

logger = logging.getLogger(__name__)

TIMEOUT = 5.0
"""Seconds for one check in a worker."""
MEMORY = 2 << 30
"""Bytes of address space a worker: a power tower fails there and not on the machine."""
REMEMBERED = 50_000
"""Pairs whose verdict is kept within a run: siblings in a tree often give the same answer."""

Pair = tuple[str, str]


class Verdict(StrEnum):
    """UNDECIDED (timeout, crash) is never a reward: the caller records it as a failure."""

    RIGHT = "right"
    WRONG = "wrong"
    UNDECIDED = "undecided"


class Checker:
    """Compares answers with gold answers. A context manager (plain or async); usable from any thread or event
    loop.

    Args:
        workers: processes; half of the cores, 2 to 8, when not given. They start with the first check that
        needs one     (about a second), so a run of plain numbers starts none. timeout: seconds for one check
        in a worker; after it the worker is killed and replaced.
    """

    def __init__(self, workers: int | None = None, timeout: float = TIMEOUT) -> None:
        self._workers = workers or min(8, max(2, (os.cpu_count() or 2) // 2))
        self._timeout = timeout
        self._pool: ProcessPool | None = None
        self._asked: OrderedDict[Pair, Future[bool]] = OrderedDict()

    async def check(self, gold: str, answer: str, exact: bool = False) -> Verdict:
        """Verdict on one answer. `exact` compares the text only (micro, multiple choice) and needs no process."""
        seen = _at_sight(gold, answer, exact)
        if seen is not None:
            return seen
        future = self._ask((gold, answer))
        try:
            # Shielded: a cancelled caller must not cancel a check that others wait for.
            return Verdict.RIGHT if await asyncio.shield(asyncio.wrap_future(future)) else Verdict.WRONG
        except Exception as problem:
            return self._undecided((gold, answer), problem)

    def check_many(self, pairs: Iterable[Pair], exact: bool = False) -> list[Verdict]:
        """Verdicts on (gold, answer) pairs, in their order, all workers busy."""
        pairs = list(pairs)
        asked = [(pair, _at_sight(*pair, exact)) for pair in pairs]
        waiting = [seen or self._ask(pair) for pair, seen in asked]
        return [self._result(pair, future) for pair, future in zip(pairs, waiting, strict=True)]

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

    def _ask(self, pair: Pair) -> "Future[bool]":
        """The check of a pair, running, done or new; the latest ones are remembered."""
        future = self._asked.pop(pair, None) or self._start().schedule(is_equal, pair, timeout=self._timeout)
        self._asked[pair] = future
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return future

    def _start(self) -> ProcessPool:
        if self._pool is None:
            # forkserver: safe beside threads and event loops, and a killed worker's successor is forked from
            # a process that has imported math-verify already.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["math_verify"])
            self._pool = ProcessPool(max_workers=self._workers, initializer=_prepare, context=context)
        return self._pool

    def _result(self, pair: Pair, known: "Verdict | Future[bool]") -> Verdict:
        if isinstance(known, Verdict):
            return known
        try:
            return Verdict.RIGHT if known.result() else Verdict.WRONG
        except Exception as problem:
            return self._undecided(pair, problem)

    def _undecided(self, pair: Pair, problem: Exception) -> Verdict:
        """Not remembered: the machine may only have been busy."""
        self._asked.pop(pair, None)
        logger.warning("Undecided whether %.80r equals %.80r: %s", pair[1], pair[0], problem or type(problem).__name__)
        return Verdict.UNDECIDED


def _at_sight(gold: str, answer: str, exact: bool) -> Verdict | None:
    decided = is_same_text(gold, answer) if exact else is_equal_at_sight(gold, answer)
    return None if decided is None else Verdict.RIGHT if decided else Verdict.WRONG


def _prepare() -> None:
    """In a new worker, before its first check."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    symbolic.load()

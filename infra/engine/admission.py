"""Admission to one engine: requests enter by priority while they fit its KV cache and its batch (design D3).

vLLM takes any number of requests, in order of arrival, and preempts some when the cache is full, which recomputes
their prefixes. What waits here costs nothing, and is overtaken by what matters more.
"""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.engine.load import Meter
from infra.engine.reply import EngineGone

Prefix = tuple[int, ...]
"""Token ids that many prompts begin with."""


@dataclass(slots=True, eq=False)
class _Request:
    priority: int
    tokens: int
    sequences: int
    prefix: Prefix
    entered: asyncio.Future[None]
    is_in: bool = False


class Admission:
    """At most `budget` tokens and `seats` sequences at once; a request that is larger than either enters alone.

    The tokens of a prefix count once for all who have it: the engine's prefix cache holds them once.
    """

    def __init__(self, budget: int, seats: int, meter: Meter) -> None:
        self.budget = budget
        self.seats = seats
        self.tokens = self.sequences = 0  # in flight
        self._requests = 0  # in flight
        self._prefixes: Counter[Prefix] = Counter()  # requests in flight with this one
        self._meter = meter
        self._waiting: list[_Request] = []  # in the order in which they will enter
        self._is_open = True
        self._lost: str | None = None  # why nobody will be let in any more

    @property
    def waiting(self) -> int:
        """Requests that were not let in yet."""
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        return self._is_open and self._lost is None

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    @asynccontextmanager
    async def __call__(self, tokens: int, sequences: int, priority: int, prefix: Prefix = ()) -> AsyncIterator[None]:
        """Waits its turn, then holds its tokens and seats. The lowest `priority` goes first, then the oldest.

        `tokens`: without those of the prefix. Raises EngineGone once the engine is given up.
        """
        if self._lost:
            raise EngineGone(self._lost)
        request = _Request(priority, tokens, sequences, prefix, asyncio.get_running_loop().create_future())
        insort(self._waiting, request, key=lambda other: other.priority)
        self._admit()
        try:
            await request.entered
            yield
        finally:
            if request.is_in:
                self._leave(request)
            elif request in self._waiting:
                self._waiting.remove(request)
            self._admit()

    def close(self) -> None:
        """Nobody enters until it is opened again."""
        self._is_open = False

    def open(self) -> None:
        self._is_open = True
        self._admit()

    def give_up(self, reason: str) -> None:
        """Sends away, with an EngineGone, who waits and whoever comes from now on."""
        self._lost = reason
        self.send_away(reason)

    def send_away(self, reason: str) -> None:
        """With an EngineGone, who waits now."""
        for request in self._waiting:
            if not request.entered.done():
                request.entered.set_exception(EngineGone(reason))
        self._waiting.clear()

    def _admit(self) -> None:
        """Lets in whoever is next, until that one does not fit: nobody overtakes it for being smaller."""
        while self._is_open and self._waiting:
            request = self._waiting[0]
            if not request.entered.cancelled():
                if not self._fits(request):
                    return
                self._enter(request)
            self._waiting.pop(0)

    def _fits(self, request: _Request) -> bool:
        return not self._requests or (
            self.tokens + request.tokens + self._unpaid(request.prefix) <= self.budget
            and self.sequences + request.sequences <= self.seats
        )

    def _unpaid(self, prefix: Prefix) -> int:
        return 0 if self._prefixes[prefix] else len(prefix)

    def _enter(self, request: _Request) -> None:
        request.is_in = True
        request.entered.set_result(None)
        self._requests += 1
        self.tokens += request.tokens + self._unpaid(request.prefix)
        self._prefixes[request.prefix] += 1
        self.sequences += request.sequences
        self._meter.enter(request.sequences)

    def _leave(self, request: _Request) -> None:
        self._requests -= 1
        self._prefixes[request.prefix] -= 1
        self.tokens -= request.tokens + self._unpaid(request.prefix)
        self.sequences -= request.sequences
        self._meter.leave(request.sequences)

"""Admission to one engine: requests enter in order while the tokens in flight fit its KV cache (design D3).

vLLM takes any number of requests and preempts some when the cache is full, which recomputes their prefixes. What
waits here costs nothing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Admission:
    """At most `budget` tokens at once; a request that is larger than the budget enters alone."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.in_flight = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def __call__(self, tokens: int) -> AsyncIterator[None]:
        """Holds `tokens` of the budget, after all who came before."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, entered))
        self._admit()
        try:
            await entered
            yield
        finally:
            if not entered.cancelled():
                self.in_flight -= tokens
            self._admit()

    def _admit(self) -> None:
        while self._waiting:
            tokens, entered = self._waiting[0]
            if not entered.cancelled():
                if self.in_flight and self.in_flight + tokens > self.budget:
                    return
                self.in_flight += tokens
                entered.set_result(None)
            self._waiting.popleft()

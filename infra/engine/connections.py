"""Long-lived connections to the engine, as many as there are requests in flight.

Each is an httpx client of its own. In a shared client, httpcore compares all connections with each other at each
request. At 256 in flight that took two thirds of this process's time.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: vLLM closes its end after 5."""


def bearer(key: str | None) -> dict[str, str]:
    """The header that an engine with a key wants."""
    return {"Authorization": f"Bearer {key}"} if key else {}


class Connections:
    """`timeout`: seconds until a response must be there. `key`: of the engine, if it wants one."""

    def __init__(self, timeout: float, key: str | None = None) -> None:
        self._headers = bearer(key)
        self._timeout = httpx.Timeout(timeout, connect=10.0)
        self._trusted = ssl.create_default_context()
        self._all: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """A connection for one request at a time: the one that was used last, or a new one."""
        client = self._free.pop() if self._free else self._opened()
        try:
            yield client
        finally:
            self._free.append(client)

    async def close(self) -> None:
        for client in self._all:
            await client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            timeout=self._timeout,
            headers=self._headers,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE),
            verify=self._trusted,
            trust_env=False,  # an engine is reached directly, never through a web proxy
        )
        self._all.append(client)
        return client

"""Long-lived connections to the engine, as many as there are requests in flight.

aiohttp, for its parser is in C: a request costs this process a third of what httpx took, which limits how many engines
one search can keep busy (`make bench-client`).
"""

import aiohttp

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: vLLM closes its end after 5."""
CONNECT_SECONDS = 10.0


def bearer(key: str | None) -> dict[str, str]:
    """The header that an engine with a key wants."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def connections(timeout: float, key: str | None = None) -> aiohttp.ClientSession:
    """`timeout`: seconds until a response must be there. `key`: of the engine, if it wants one.

    An engine is reached directly, never through a web proxy, and never sends elsewhere (see `infra.engine.wire`).
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
        timeout=aiohttp.ClientTimeout(total=timeout, connect=CONNECT_SECONDS),
        headers=bearer(key),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )

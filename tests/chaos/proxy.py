"""A proxy before the S3 server: it sees where a round is, holds a call while something is done, and spoils some.

It runs in a thread of its own. The product's signature covers the host that it asked, which is handed on as it is.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

PATIENCE = 60.0
"""Seconds that a held call waits at most."""
SLOW = 0.5
"""Seconds of a slow call."""
GONE = 0.05
"""Seconds in which a client that was killed meanwhile is noticed to be gone: its call is dropped."""
Kind = Literal["", "error", "half", "cut", "slow"]


@dataclass
class Call:
    """One call of the store. `place`: its path in the bucket. `at`: by the monotonic clock. `status`: 0 before."""

    method: str
    place: str
    at: float
    status: int = 0


@dataclass
class Spoiling:
    """`share` of the calls are spoiled: error (500), half (broken off), cut (no answer), slow. `hit`: how many were."""

    kind: Kind = ""
    share: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    hit: int = 0

    def takes(self) -> bool:
        taken = bool(self.kind) and self.rng.random() < self.share
        self.hit += taken
        return taken


class Proxy:
    """In front of `upstream`. `watch` is told of every call before it is handed on (status 0) and after, and may return
    an event that the call waits for."""

    def __init__(self, upstream: str, watch: Callable[[Call], threading.Event | None]) -> None:
        self.upstream, self.watch = upstream, watch
        self.spoiling = Spoiling()
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *problem: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._loop.run_forever()

    async def _start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=600, connect=5)
        self._http = aiohttp.ClientSession(auto_decompress=False, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._ready.set()

    async def _end(self) -> None:
        await self._runner.cleanup()
        await self._http.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = Call(request.method, request.path.partition("/")[2].partition("/")[2], time.monotonic())
        await self._held(call)
        spoiled = self.spoiling.kind if self.spoiling.takes() else ""
        if spoiled == "slow":
            await asyncio.sleep(SLOW)
        if spoiled == "cut":
            return self._broken(request)
        if spoiled == "error":
            text = "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
            return web.Response(status=500, text=text, content_type="application/xml")
        unwanted = {"expect", "transfer-encoding", "content-length", "connection"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in unwanted}
        try:
            async with self._http.request(
                request.method,
                URL(self.upstream + request.raw_path, encoded=True),
                headers=headers,
                data=body if body or request.method in ("PUT", "POST") else None,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                allow_redirects=False,
            ) as reply:
                content, call.status = await reply.read(), reply.status
                told = {
                    name: value
                    for name, value in reply.headers.items()
                    if name.lower() not in ("transfer-encoding", "connection")
                    and (request.method == "HEAD" or name.lower() != "content-length")
                }
        except (aiohttp.ClientError, TimeoutError):
            return self._broken(request)
        await self._held(call)
        if spoiled == "half" and request.method == "HEAD":
            return self._broken(request)
        if spoiled == "half":
            whole = web.StreamResponse(status=call.status, headers=told | {"Content-Length": str(len(content) + 1)})
            await whole.prepare(request)
            await whole.write(content[: len(content) // 2])
            return self._broken(request)
        return web.Response(status=call.status, headers=told, body=content if request.method != "HEAD" else None)

    async def _held(self, call: Call) -> None:
        if release := self.watch(call):
            await asyncio.to_thread(release.wait, PATIENCE)
            await asyncio.sleep(GONE)

    def _broken(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

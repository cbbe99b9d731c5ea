"""Runs inside the engine's server (`--middleware cpl_guard.Guard`): it refuses every request without the key.

vLLM's own `--api-key` guards /v1 only. Its development endpoints swap weights for everybody who posts to them, and any
web page can post. Standard library only, since it runs in the engine's environment.
"""

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """ASGI: lets through what carries `Authorization: Bearer $CPL_ENGINE_KEY`; preflights of browsers do not."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self.wanted = f"Bearer {os.environ['CPL_ENGINE_KEY']}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(given, self.wanted):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})

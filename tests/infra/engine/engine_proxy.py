"""A proxy in front of a real engine that spoils its completions as a script says; all else it hands through."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

SLOW_SECONDS = 6.0

Fault = Callable[[bytes], Awaitable[bytes | None]]
"""What is written in place of the engine's reply with this body; None: the connection is closed."""


def response(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def slow(body: bytes) -> bytes:
    await asyncio.sleep(SLOW_SECONDS)
    return response(body)


async def server_error(body: bytes) -> bytes:
    return response(b'{"error": {"message": "EngineCore encountered an issue"}}', "500 Internal Server Error")


async def closed_connection(body: bytes) -> None:
    return None


async def truncated_json(body: bytes) -> bytes:
    return response(body[: len(body) // 2])


async def truncated_body(body: bytes) -> bytes:
    return response(body)[: -len(body) // 2]


async def invalid_token_ids(body: bytes) -> bytes:
    answer: dict[str, Any] = json.loads(body)
    answer["choices"][-1]["token_ids"][-1] = 1 << 20
    return response(json.dumps(answer).encode())


FAULTS: dict[str, Fault] = {
    "slow": slow,
    "server error": server_error,
    "closed connection": closed_connection,
    "truncated JSON": truncated_json,
    "truncated body": truncated_body,
    "invalid token ids": invalid_token_ids,
}


@asynccontextmanager
async def proxy(address: str, script: Callable[[dict[str, Any]], Fault | None]) -> AsyncIterator[str]:
    """Its address. `script`: the fault that this completion request meets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The engine, or the client, may be gone at any moment: then this connection is.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, httpx.RequestError):
            while written := await answer(reader):
                writer.write(written)
                await writer.drain()
                head, _, body = written.partition(b"\r\n\r\n")
                if f"content-length: {len(body)}\r\n".encode() not in head + b"\r\n":
                    break
        writer.close()

    async def answer(reader: asyncio.StreamReader) -> bytes | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        key = re.findall(r"^authorization: (.*)\r$", head, re.IGNORECASE | re.MULTILINE)
        headers = {"content-type": "application/json", "authorization": "".join(key)}
        reply = await http.request(method, address + path, content=body, headers=headers)
        fault = script(json.loads(body)) if path == "/v1/completions" else None
        if fault:
            return await fault(reply.content)
        return response(reply.content, f"{reply.status_code} {reply.reason_phrase}")

    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

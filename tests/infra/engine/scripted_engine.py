"""An engine's HTTP server that answers by a script, in the wire format of vLLM: for faults that must be forced."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

Respond = Callable[[dict[str, Any]], bytes | None]
"""What the engine writes to a completion request, as raw bytes; None: it closes the connection."""
SILENCE = b""


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def choice(token_ids: list[int], /, **changes: Any) -> dict[str, Any]:
    top = {f"token_id:{token_id}": -1.0 for token_id in token_ids} | {"token_id:2": -2.0, "token_id:3": -3.0}
    logprobs = {"token_logprobs": [-1.0] * len(token_ids), "top_logprobs": [top] * len(token_ids)}
    whole = {"text": "a step", "token_ids": token_ids, "logprobs": logprobs, "finish_reason": "stop"}
    return whole | changes


def answer(*choices: dict[str, Any]) -> bytes:
    usage = {"prompt_tokens": 3, "completion_tokens": sum(len(one["token_ids"] or []) for one in choices)}
    details = {"prompt_tokens_details": {"cached_tokens": 2}}
    return http(json.dumps({"choices": choices, "usage": usage | details}).encode())


def good(request: dict[str, Any]) -> bytes:
    return answer(*[choice([7, 8, 9])] * request["n"])


def invalid(**changes: Any) -> Respond:
    return lambda request: answer(*[choice([7, 8, 9], **changes)] * request["n"])


def uncounted(tokens: str) -> Respond:
    """A reply that is sound but for its count of generated tokens, written so."""
    return lambda request: http(
        b'{"choices": %s, "usage": {"prompt_tokens": 3, "completion_tokens": %s}}'
        % (json.dumps([choice([7, 8, 9])] * request["n"]).encode(), tokens.encode())
    )


FAULTS: dict[str, tuple[Respond, str]] = {
    "server error": (lambda _: http(b'{"error": {"message": "engine is dead"}}', "500 Oops"), "500 engine is dead"),
    "overload": (lambda _: http(b"busy", "503 Busy"), "503 busy"),
    "closed connection": (lambda _: None, "disconnected"),
    "no JSON": (lambda _: http(b'{"choices": [{"tex'), "invalid JSON"),
    "truncated body": (lambda _: http(b"{}")[:-1], "not completed"),
    "no choices": (lambda _: http(b'{"detail": "?"}'), "malformed reply"),
    "fewer choices than asked": (lambda _: answer(choice([7])), "1 choices instead of 2"),
    "a token outside the vocabulary": (invalid(token_ids=[7, 8, 50]), "outside the vocabulary"),
    "no tokens": (invalid(token_ids=[]), "no token ids"),
    "no token ids": (invalid(token_ids=None), "no token ids"),
    "no log-probs": (invalid(logprobs=None), "malformed reply"),
    "no values": (
        invalid(logprobs={"token_logprobs": [-1.0] * 3, "top_logprobs": [{"token_id:7": -1.0}] * 3}),
        "malformed reply: KeyError 'token_id:2'",
    ),
    "log-probs of other length": (
        invalid(logprobs={"token_logprobs": [-1.0], "top_logprobs": [{"token_id:2": -1.0, "token_id:3": -1.0}]}),
        "3 tokens with 1",
    ),
    "log-probs above one": (
        invalid(logprobs={"token_logprobs": [9.0] * 3, "top_logprobs": [{"token_id:2": -1.0, "token_id:3": -1.0}] * 3}),
        "no log-probs",
    ),
    "no text": (invalid(text=None), "no text"),
    "JSON that is nested too deep": (lambda _: http(b"[" * 100_000), "invalid JSON"),
    "a usage that is no number": (uncounted("NaN"), "invalid JSON"),
    "a usage without end": (uncounted("1" + "0" * 400), "invalid JSON"),
    "a usage in words": (uncounted('"many"'), "counts no tokens"),
    "a negative usage": (uncounted("-1"), "counts no tokens"),
    "aborted": (invalid(finish_reason="abort"), "finished by 'abort'"),
}


@asynccontextmanager
async def scripted_engine(
    *script: Respond, engines: int = 1, port: int = 0, generated: Sequence[float] = (), version: str = ""
) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Answers completion request i by the script's i-th entry (the last one from then on); yields what it was asked.

    `engines`: of data parallelism behind the address, with 10,000 tokens of KV cache each; `generated`: what each
    of them counts so far, if they count. `version`: of vLLM, if they tell it.
    """
    asked: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = head.partition("content-length: ")[2].partition("\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                response: bytes | None
                if "/v1/models" in head:
                    response = http(b'{"data": [{"id": "policy", "max_model_len": 512}]}')
                elif "/metrics" in head:
                    sizes = [
                        f'vllm:cache_config_info{{engine="{i}",kv_cache_size_tokens="10000"}} 1.0'
                        for i in range(engines)
                    ]
                    counts = [f'vllm:generation_tokens_total{{engine="{i}"}} {n}' for i, n in enumerate(generated)]
                    response = http("\n".join([*sizes, *counts]).encode())
                elif "/version" in head:
                    response = http(json.dumps({"version": version} if version else {}).encode())
                else:
                    asked.append(json.loads(body))
                    response = script[min(len(asked), len(script)) - 1](asked[-1])
                    await asyncio.sleep(0.01)
                if response == SILENCE:
                    await reader.read()
                if not response:
                    break
                writer.write(response)
                await writer.drain()
                if not response.startswith(b"HTTP/1.1 200") or response == http(b"{}")[:-1]:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked

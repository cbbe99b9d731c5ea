"""An engine that answers at once, in vLLM's wire format: a server for `make bench-client`, in a process of its own.

Replies are rendered before they are asked for: plan steps and solutions that the product parses, as a scripted policy
writes them (tests/bench/pairs.py), with log-probs and values of every token.
"""

import asyncio
import contextlib
import json
import multiprocessing
import random
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from infra.contract.model_folder import ValueWords
from tasks.language.format import PLANS, STEP_CLOSE
from tasks.search.method import Draw
from tasks.search.policy import Sample
from tests.bench.pairs import Writer

CONTEXT, CACHE = 4096, 4_000_000
"""Tokens of a prompt and its completion, and of the KV cache: more than the trees fill: nothing waits for it."""
WIDTHS = (3, 5)
DEPTHS = 7
RENDERED = 100
"""Replies of each width and depth."""


@contextmanager
def scripted_server(folder: Path, seed: int) -> Iterator[str]:
    """Its address. `folder`: of the model whose tokenizer and value words it answers in."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(its, folder, seed), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def rendered(folder: Path, seed: int) -> dict[tuple[int, int], list[bytes]]:
    """Responses by depth of the state and number of samples."""
    tokenizer, words = Tokenizer.from_file(str(folder / "tokenizer.json")), ValueWords.read(folder)
    writer, rng = Writer(tokenizer, seed), random.Random(seed)
    replies: dict[tuple[int, int], list[bytes]] = {}
    for depth in range(DEPTHS):
        for width in WIDTHS:
            for number in range(RENDERED):
                state = f"{number} {PLANS.prompt('')}" + f"{number} {STEP_CLOSE}" * depth
                drawn = asyncio.run(writer.sample(writer.encode(state), Draw(width), session="", priority=0))
                choices = [_choice(sample, words, rng) for sample in drawn.samples]
                replies.setdefault((depth, width), []).append(_http(_body(choices)))
    return replies


def _choice(sample: Sample, words: ValueWords, rng: random.Random) -> dict[str, Any]:
    tops = []
    for token in sample.token_ids:
        of_words = {f"token_id:{words.good}": -rng.uniform(1, 9), f"token_id:{words.bad}": -rng.uniform(1, 9)}
        tops.append({f"token_id:{token}": -0.5} | of_words)
    told = {
        "text_offset": [0] * len(tops),
        "token_logprobs": [-0.5] * len(tops),
        "tokens": [f"token_id:{token}" for token in sample.token_ids],
        "top_logprobs": tops,
    }
    whole = {"index": 0, "text": sample.text, "logprobs": told, "finish_reason": "stop", "stop_reason": None}
    return whole | {"token_ids": list(sample.token_ids), "prompt_logprobs": None, "prompt_token_ids": None}


def _body(choices: list[dict[str, Any]]) -> bytes:
    counts = {"prompt_tokens": 300, "completion_tokens": sum(len(one["token_ids"]) for one in choices)}
    whole = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": "policy", "choices": choices}
    return json.dumps(whole | {"usage": counts | {"prompt_tokens_details": {"cached_tokens": 280}}}).encode()


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def _serve(parent: Connection, folder: Path, seed: int) -> None:
    replies = rendered(folder, seed)
    step_close = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(STEP_CLOSE, add_special_tokens=False).ids
    models = _http(json.dumps({"data": [{"id": "policy", "max_model_len": CONTEXT}]}).encode())
    metrics = _http(b'vllm:cache_config_info{kv_cache_size_tokens="%d"} 1.0' % CACHE)

    def depth_of(prompt: list[int]) -> int:
        """Steps of a prompt: how often the middle of a step's end stands in it."""
        last, before = step_close[-2], step_close[-3]
        return sum(1 for at in range(1, len(prompt)) if prompt[at] == last and prompt[at - 1] == before)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
                if body:
                    asked = json.loads(body)
                    of_kind = replies[min(depth_of(asked["prompt"]), DEPTHS - 1), asked["n"]]
                    count += 1
                    writer.write(of_kind[(count + len(body)) % len(of_kind)])
                else:
                    writer.write(models if b"/v1/models" in head else metrics)
                await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())

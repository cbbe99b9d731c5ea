"""vLLM's HTTP API, as far as it is used here: what a request says, and one exchange of it for a response (design D1).

Nothing is tried again here, and responses are read in `infra.engine.reply`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from infra.contract.model_folder import ValueWords
from infra.engine.reply import EngineError, InvalidReply, parse_body

BLOCK = 16
"""Tokens of a block for an engine that does not publish it: vLLM's default on GPUs."""

NEVER = -100.0
"""Bias on the logits of the value words: they are never sampled, and it cancels in their difference (design D2)."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What an engine says of itself: its model's name, its context, and the tokens that each KV cache holds.

    `max_tokens`: longest prompt and completion together. One cache a data-parallel engine behind the address; none
    where it does not publish them. `block_tokens`: of a prefix, the cache knows whole blocks of so many.
    """

    model: str
    max_tokens: int
    cache_tokens: list[int]
    block_tokens: int


def completion_request(
    words: ValueWords, prompt_ids: Sequence[int], logprob_token_ids: Sequence[int], *, cache_salt: str, **sampling: Any
) -> dict[str, Any]:
    """The body of a completion request, but for the model's name.

    `logprob_token_ids`: whose log-probs are told at every position, beside the sampled token's; none: nor is that.
    `cache_salt`: part of what the engine's prefix cache knows a prefix by.
    """
    told = {"return_tokens_as_token_ids": True, "logprobs": 0, "logprob_token_ids": list(logprob_token_ids)}
    # No `seed`: it kills the CPU engine when a prompt is prefilled in chunks (design section 4).
    # `skip_special_tokens` off: the text is what the token ids decode to, and a stop string may be special.
    return {
        "prompt": list(prompt_ids),
        "cache_salt": cache_salt,
        "return_token_ids": True,
        **(told if logprob_token_ids else {}),
        "logit_bias": {str(words.good): NEVER, str(words.bad): NEVER},
        "stop_token_ids": [words.eos],
        "include_stop_str_in_output": True,
        "skip_special_tokens": False,
        **sampling,
    }


MOST_STOPS = 4
"""Strings that may end a completion: of more, the server refuses the request, as OpenAI's does."""
FAILURES = (aiohttp.ClientError, TimeoutError)
"""What an exchange raises where no whole response comes."""


async def post(http: aiohttp.ClientSession, address: str, request: dict[str, Any]) -> bytes:
    """The body of the response.

    Raises:
        InvalidReply, FAILURES: it may go well when it is asked again.
        EngineError: it would be refused again.
    """
    url, body = f"{address}/v1/completions", orjson.dumps(request)
    asked = http.post(url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False)
    async with asked as response:
        content = await response.read()
    if response.status in (408, 429) or response.status >= 500:
        raise InvalidReply(f"status {response.status} {_message(content)}")
    if response.status >= 400:
        raise EngineError(f"{url} refused the request: status {response.status}, {_message(content)}")
    return content


async def greet(http: aiohttp.ClientSession, address: str) -> Greeting:
    """Raises EngineError where no vLLM answers."""
    try:
        async with http.get(f"{address}/v1/models", allow_redirects=False) as response:
            (served,) = parse_body(await response.read())["data"]
        async with http.get(f"{address}/metrics", allow_redirects=False) as response:
            metrics = await response.text()
        caches = list(map(int, re.findall(r'kv_cache_size_tokens="(\d+)"', metrics)))
        blocks = map(int, re.findall(r'[{,]block_size="(\d+)"', metrics))
        return Greeting(served["id"], served["max_model_len"], caches, max(blocks, default=BLOCK))
    except (*FAILURES, InvalidReply, KeyError, TypeError, ValueError) as problem:
        raise EngineError(f"no vLLM engine answers at {address}: {problem!r}") from None


async def version(http: aiohttp.ClientSession, address: str) -> str | None:
    """vLLM's version, e.g. "0.32.0"; None where the engine does not tell it."""
    try:
        async with http.get(f"{address}/version", allow_redirects=False) as response:
            return str(parse_body(await response.read())["version"])
    except (*FAILURES, InvalidReply, KeyError, TypeError):
        return None


async def generated(http: aiohttp.ClientSession, address: str) -> float:
    """Tokens that an engine has generated since it started, those of requests under way among them.

    Raises:
        EngineError: it does not tell.
    """
    try:
        async with http.get(f"{address}/metrics", allow_redirects=False) as response:
            metrics = await response.text()
    except (*FAILURES, ValueError) as problem:
        raise EngineError(f"the engine at {address} does not tell what it has generated: {problem!r}") from None
    counters = re.findall(r"^vllm:generation_tokens_total\{.*\} (\S+)", metrics, re.MULTILINE)
    if not counters:
        raise EngineError(f"the engine at {address} does not tell what it has generated: start it with its statistics")
    return sum(map(float, counters))


def _message(content: bytes) -> str:
    try:
        return str(parse_body(content)["error"]["message"])
    except (InvalidReply, KeyError, TypeError):
        return content.decode(errors="replace")[:200]

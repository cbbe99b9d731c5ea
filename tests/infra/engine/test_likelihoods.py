"""Log-probs of whole continuations: both ways to ask say what the model says, and the shorter one is taken."""

import asyncio
import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.contract.model_folder import ValueWords
from infra.engine import EngineError, Likelihood, PromptTooLong
from infra.engine.client import Engine
from infra.engine.continuations import branches, is_shorter_by_token
from tests.infra.engine.scripted_engine import http, scripted_engine

WORDS = ValueWords(good=2, bad=3, eos=1, knows_format=True)
VOCABULARY = range(4, 12)
Ids = list[int]


def logprob(before: Sequence[int], token_id: int) -> float:
    """Of the scripted model: it depends on all that comes before."""
    return -0.01 - zlib.crc32(bytes([*before, token_id])) % 1000 / 100


def greedy(before: Sequence[int]) -> int:
    return max(VOCABULARY, key=lambda token_id: logprob(before, token_id))


def model(request: dict[str, Any]) -> bytes:
    prompt, asked = request["prompt"], request.get("logprob_token_ids", [])
    one: dict[str, Any] = {"text": "", "token_ids": [greedy(prompt)], "finish_reason": "length"}
    if asked:
        told = {f"token_id:{token_id}": logprob(prompt, token_id) for token_id in {*asked, greedy(prompt)}}
        one["logprobs"] = {"token_logprobs": [logprob(prompt, greedy(prompt))], "top_logprobs": [told]}
    if "prompt_logprobs" in request:
        one["prompt_logprobs"] = [None] + [
            {
                str(prompt[place]): {
                    "logprob": logprob(prompt[:place], prompt[place]),
                    "rank": 1 if greedy(prompt[:place]) == prompt[place] else 2,
                }
            }
            for place in range(1, len(prompt))
        ]
    usage = {"prompt_tokens": len(prompt), "completion_tokens": 1}
    return http(json.dumps({"choices": [one], "usage": usage}).encode())


def said(prompt: Ids, continuation: Ids) -> Likelihood:
    befores = [[*prompt, *continuation[:place]] for place in range(len(continuation))]
    pairs = list(zip(befores, continuation, strict=True))
    return Likelihood(sum(logprob(*pair) for pair in pairs), all(greedy(before) == one for before, one in pairs))


@pytest.mark.parametrize("prompt", [[5], list(range(4, 12)) * 20], ids=["a short prompt", "a long one"])
def test_they_are_the_models(prompt: Ids) -> None:
    best = [greedy(prompt)]
    best.append(greedy(prompt + best))
    continuations = [best, [best[0], 4], [7], [7, 8, 9], best[:1]]

    async def ask() -> tuple[list[Likelihood], list[dict[str, Any]], int]:
        async with scripted_engine(model) as (address, asked), Engine([address], WORDS, 50) as engine:
            return await engine.likelihoods(prompt, continuations), asked, engine.usage.prompt_tokens

    found, asked, prompt_tokens = asyncio.run(ask())
    for one, continuation in zip(found, continuations, strict=True):
        expected = said(prompt, continuation)
        assert one.logprob == pytest.approx(expected.logprob)
        assert one.is_greedy is expected.is_greedy
    assert [one.is_greedy for one in found] == [True, False, False, False, True]
    is_by_token = len(prompt) > 1
    assert all(("prompt_logprobs" in request) is not is_by_token for request in asked)
    assert len(asked) == (4 if is_by_token else 5), "of a token tree every node is asked once"
    assert prompt_tokens == sum(len(request["prompt"]) for request in asked)


@given(st.lists(st.lists(st.integers(4, 6), min_size=1, max_size=4), min_size=1, max_size=6))
def test_a_tree_of_tokens_has_every_next_token_once(continuations: list[Ids]) -> None:
    found = branches(continuations)
    by_hand = {(tuple(one[:place]), one[place]) for one in continuations for place in range(len(one))}
    assert {(prefix, token_id) for prefix, nexts in found.items() for token_id in nexts} == by_hand
    assert all(nexts == sorted(set(nexts)) for nexts in found.values())
    assert next(iter(found)) == ()


def test_the_way_is_the_one_with_fewer_tokens() -> None:
    assert is_shorter_by_token(200, [[7], [8], [9], [10]], block=16), "four letters are one request"
    assert not is_shorter_by_token(200, [[7]], block=16), "one letter is one request in both ways"
    assert not is_shorter_by_token(30, [list(range(20)), list(range(20, 40))], block=16)
    assert is_shorter_by_token(1000, [list(range(20)), list(range(20, 40))], block=16)
    assert not is_shorter_by_token(1000, [list(range(20)), list(range(20, 40))], block=128)


@pytest.mark.parametrize("part", ["prompt_logprobs", "logprobs", "token_ids"])
def test_a_reply_without_them_is_none(part: str) -> None:
    def torn(request: dict[str, Any]) -> bytes:
        body = json.loads(model(request).partition(b"\r\n\r\n")[2])
        body["choices"][0].pop(part, None)
        return http(json.dumps(body).encode())

    prompt = [5] if part == "prompt_logprobs" else list(range(4, 12)) * 20

    async def ask() -> None:
        async with scripted_engine(torn) as (address, _), Engine([address], WORDS, 50, attempts=1) as engine:
            await engine.likelihoods(prompt, [[7, 8], [9]])

    with pytest.raises(EngineError, match="malformed reply"):
        asyncio.run(ask())


def test_what_ends_past_the_context_is_not_asked() -> None:
    async def ask() -> None:
        async with scripted_engine(model) as (address, asked), Engine([address], WORDS, 50) as engine:
            try:
                await engine.likelihoods([5] * 500, [[7], [7] * 12])
            finally:
                assert asked == []

    with pytest.raises(PromptTooLong, match="512 tokens leave no room"):
        asyncio.run(ask())

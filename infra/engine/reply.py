"""What the engine answers: sampled token ids with their log-probs, and the value at each of them (design D2).

One response carries all of it. With `logprobs` and `logprob_token_ids=[good, bad]`, vLLM returns log-probs of the
sampled token and of both value words at every position. They are "raw": log-softmax of the model's own logits, before
the temperature and the bias against the value words.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from infra.contract.model_folder import ValueWords
from infra.engine.usage import Usage

CLIPPED = -9999.0
"""vLLM writes a log-prob of -inf as this. No sampled token and no value word of a sound model has it."""

MOST_TOKENS = 1 << 32
"""That one request can be said to have taken."""


class EngineError(RuntimeError):
    """The engine gave no valid reply, though so much was `spent` on it. Never a reward (design D4)."""

    def __init__(self, message: str, spent: Usage | None = None) -> None:
        super().__init__(message)
        self.spent = spent or Usage()


class PromptTooLong(EngineError):
    """The prompt alone fills the engine's context: nothing was asked."""


class EngineGone(EngineError):
    """The engine died or was given up: whatever it should answer is for another, if there is one."""


class InvalidReply(ValueError):
    """A response that is not what was asked for: the request is tried again."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled continuation of T tokens.

    `text` is what the engine decoded, with the stop string. Where the last token runs on past the stop string, the
    text ends with the stop string and `token_ids` with that whole token.
    `logprobs[t]`: log-softmax of token t under the policy. `values[t]`: V in [-1, 1] at the position that predicts
    token t, so `values[-1]` is V of a step whose closing delimiter ends the completion (design D2). Where they were not
    asked for, both are empty.
    `finish_reason`: "stop" at a stop string or the end of sequence, "length" at `max_tokens`.
    """

    token_ids: list[int]
    text: str
    logprobs: list[float]
    values: list[float]
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Reply:
    """All `n` completions of one prompt, and what they took: attempts that failed before are part of it."""

    completions: list[Completion]
    usage: Usage


def value(good: float, bad: float) -> float:
    """V of the log-probs (or logits) of the two value words: tanh((good - bad) / 2) in [-1, 1]."""
    return math.tanh((good - bad) / 2)


def parse_reply(body: bytes, n: int, words: ValueWords, vocabulary: int, *, scored: bool = True) -> Reply:
    """Reads a response of `/v1/completions` for one prompt; of its usage, the tokens. `scored`: with log-probs.

    Raises InvalidReply for anything but n full choices.
    """
    answer = parse_body(body)
    try:
        choices = answer["choices"]
        if len(choices) != n:
            raise InvalidReply(f"{len(choices)} choices instead of {n}")
        tokens = _usage(answer["usage"])
        return Reply([_completion(choice, words if scored else None, vocabulary) for choice in choices], tokens)
    except (KeyError, TypeError, IndexError, AttributeError) as problem:
        raise InvalidReply(f"malformed reply: {type(problem).__name__} {problem}") from None


def parse_usage(body: bytes) -> Usage:
    """The tokens of a response."""
    try:
        return _usage(parse_body(body)["usage"])
    except (KeyError, TypeError, AttributeError) as problem:
        raise InvalidReply(f"malformed reply: {type(problem).__name__} {problem}") from None


def _usage(told: dict[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=_count(told["prompt_tokens"]),
        cached_tokens=_count((told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
        generated_tokens=_count(told["completion_tokens"]),
    )


def parse_logprobs(body: bytes, token_ids: list[int]) -> list[float]:
    """Log-probs of `token_ids` at the first generated position of a one-choice response."""
    try:
        (position,) = parse_body(body)["choices"][0]["logprobs"]["top_logprobs"]
        return [position[_key(token_id)] for token_id in token_ids]
    except (KeyError, TypeError, IndexError, ValueError) as problem:
        raise InvalidReply(f"malformed reply: {type(problem).__name__} {problem}") from None


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of a continuation: its log-prob under the policy, and whether greedy decoding would write it."""

    logprob: float
    is_greedy: bool


def joined(parts: Iterable[Likelihood]) -> Likelihood:
    """Of a continuation, from those of its tokens, each after the ones before."""
    told = list(parts)
    return Likelihood(sum(one.logprob for one in told), all(one.is_greedy for one in told))


def parse_likelihood(body: bytes, token_ids: list[int]) -> Likelihood:
    """Of the last tokens of a prompt, from a response with `prompt_logprobs`."""
    try:
        given = parse_body(body)["choices"][0]["prompt_logprobs"][-len(token_ids) :]
        told = [position[str(token_id)] for position, token_id in zip(given, token_ids, strict=True)]
        logprobs = [one["logprob"] for one in told]
        is_greedy = all(one["rank"] == 1 for one in told)
    except (KeyError, TypeError, IndexError, ValueError) as problem:
        raise InvalidReply(f"malformed reply: {type(problem).__name__} {problem}") from None
    _refuse_no_logprobs(logprobs)
    return Likelihood(sum(logprobs), is_greedy)


def parse_next(body: bytes, token_ids: list[int]) -> dict[int, Likelihood]:
    """Of each of `token_ids` as the next token, from a response of one greedy token."""
    logprobs = parse_logprobs(body, token_ids)
    _refuse_no_logprobs(logprobs)
    try:
        (greedy,) = parse_body(body)["choices"][0]["token_ids"]
    except (KeyError, TypeError, IndexError, ValueError) as problem:
        raise InvalidReply(f"malformed reply: {type(problem).__name__} {problem}") from None
    return {one: Likelihood(logprob, one == greedy) for one, logprob in zip(token_ids, logprobs, strict=True)}


def _refuse_no_logprobs(numbers: list[float]) -> None:
    if not all(CLIPPED < number <= 1e-3 for number in numbers):
        raise InvalidReply("log-probs that are no log-probs")


def parse_body(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidReply(f"invalid JSON, {len(body)} bytes") from None


def _count(tokens: Any) -> int:
    """A number of tokens: it is summed up over all replies, which one that is none would spoil."""
    if type(tokens) is not int or not 0 <= tokens < MOST_TOKENS:
        raise InvalidReply("a usage that counts no tokens")
    return tokens


def _completion(choice: dict[str, Any], words: ValueWords | None, vocabulary: int) -> Completion:
    """`words`: those whose log-probs were asked for, if any."""
    token_ids = choice["token_ids"]
    if not token_ids:
        raise InvalidReply("no token ids")
    logprobs, values = _scores(choice["logprobs"], words, len(token_ids)) if words else ([], [])
    if not all(type(token_id) is int and 0 <= token_id < vocabulary for token_id in token_ids):
        raise InvalidReply(f"token ids outside the vocabulary of {vocabulary}")
    if type(choice["text"]) is not str:
        raise InvalidReply("no text")
    if choice["finish_reason"] not in ("stop", "length"):
        raise InvalidReply(f"finished by {choice['finish_reason']!r}")
    return Completion(token_ids, choice["text"], logprobs, values, choice["finish_reason"])


def _scores(given: dict[str, Any], words: ValueWords, tokens: int) -> tuple[list[float], list[float]]:
    """Log-prob and value of each of so many tokens."""
    logprobs, tops = given["token_logprobs"], given["top_logprobs"]
    if not tokens == len(logprobs) == len(tops):
        raise InvalidReply(f"{tokens} tokens with {len(logprobs)} log-probs and {len(tops)} value pairs")
    good, bad = _key(words.good), _key(words.bad)
    numbers = [*logprobs, *(top[good] for top in tops), *(top[bad] for top in tops)]
    _refuse_no_logprobs(numbers)
    return logprobs, [value(top[good], top[bad]) for top in tops]


def _key(token_id: int) -> str:
    return f"token_id:{token_id}"

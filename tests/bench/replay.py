"""The engine's own limit for a search: its requests again, all at once, with nothing to wait for between them."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from infra.engine import Engine, Reply

UNBOUNDED = 1 << 40
OVERFULL = 2
"""Sequences sent at once, in batches of the engine: one runs, one waits, and it never waits for the client."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a search: its prompt, and the number of tokens of every completion that it got."""

    prompt_ids: tuple[int, ...]
    lengths: tuple[int, ...]
    temperature: float


class RecordingEngine(Engine):
    """The same client under a second name: it shares all state, and keeps what was asked."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__ = engine.__dict__ | {"asked": []}
        self.asked: list[Asked] = self.asked

    async def complete(self, prompt_ids: Sequence[int], **options: Any) -> Reply:
        reply = await super().complete(prompt_ids, **options)
        lengths = tuple(len(one.token_ids) for one in reply.completions)
        self.asked.append(Asked(tuple(prompt_ids), lengths, options["temperature"]))
        return reply


class ReplayingEngine(Engine):
    """Asks for exactly `max_tokens` tokens: nothing ends a completion before.

    `seats`: of the engine's batch. `key`: that the engine asks for.
    """

    def __init__(self, engine: Engine, seats: int, key: str | None) -> None:
        super().__init__(
            engine.addresses, engine.words, engine.vocabulary, budget=UNBOUNDED, seats=OVERFULL * seats, key=key
        )

    async def _post(self, address: str, request: dict[str, Any]) -> bytes:
        return await super()._post(address, request | {"ignore_eos": True, "stop_token_ids": []})


def one_by_one(asked: Sequence[Asked]) -> Iterator[Asked]:
    """Every completion as a request of its own, with exactly the length that it had."""
    for request in asked:
        for length in request.lengths:
            yield Asked(request.prompt_ids, (length,), request.temperature)


def in_groups(asked: Sequence[Asked]) -> Iterator[Asked]:
    """The search's own requests, every completion of one with its mean length: HTTP costs what it cost the search.

    Rounding is carried over, so that all together have the search's tokens, to half a request.
    """
    owed = 0.0
    for request in asked:
        n = len(request.lengths)
        owed += sum(request.lengths)
        length = max(1, round(owed / n))
        owed -= n * length
        yield Asked(request.prompt_ids, (length,) * n, request.temperature)


async def replay(engine: ReplayingEngine, asked: Iterable[Asked]) -> None:
    """All requests at once, in the order of the search. The lengths of one are equal."""

    async def one(request: Asked) -> None:
        n, length = len(request.lengths), request.lengths[0]
        reply = await engine.complete(request.prompt_ids, n=n, temperature=request.temperature, max_tokens=length)
        if reply.usage.generated_tokens != n * length:
            raise RuntimeError(f"a replayed request has {reply.usage.generated_tokens} tokens, not {n} x {length}")

    await asyncio.gather(*map(one, asked))

"""The engine's client: token ids in, token ids, log-probs and values out, over vLLM's HTTP API (design D1, D2, D4).

A request that fails is sent again with exponential backoff, to the next address if there are several, and ends in
EngineError. Every reply is checked before it counts. Long, for a request's admission, retries and sums are one state.
"""

import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception,
    wait_random_exponential,
)

from infra.contract.model_folder import ValueWords
from infra.engine.admission import Admission, Prefix
from infra.engine.connections import connections
from infra.engine.continuations import Ids, branches, is_shorter_by_token
from infra.engine.load import Clock, Load, Meter
from infra.engine.reply import (
    EngineError,
    EngineGone,
    InvalidReply,
    Likelihood,
    PromptTooLong,
    Reply,
    joined,
    parse_likelihood,
    parse_logprobs,
    parse_next,
    parse_reply,
    parse_usage,
)
from infra.engine.usage import Usage
from infra.engine.wire import FAILURES, MOST_STOPS, completion_request, generated, greet, post, version
from infra.together import together

BUDGET_UNKNOWN = 65_536
"""Tokens in flight for an engine that does not publish the size of its KV cache."""

SEATS_UNKNOWN = 256
"""Sequences in flight for an engine that somebody else started. vLLM 0.32 does not publish its `--max-num-seqs`;
/server_info of its development mode would, and ends the CPU engine. Its default is 256; on the largest GPUs 1024, on
the CPU 128."""

T = TypeVar("T")


class Engine:
    """One policy behind one or several addresses, e.g. "http://127.0.0.1:8000". Use as `async with`.

    Whoever starts a dead engine again calls `pause`, and then `resume` or `give_up` (`infra.engine.supervision`).

    `vocabulary`: rows of the model's output head; a token id outside of it is an invalid reply.
    `budget`: tokens in flight an address; default: the size of the engine's KV cache, from its metrics.
    `seats`: sequences in flight an address; more than the engine runs in one batch would only wait there.
    `timeout`: seconds for one request, waiting in the engine included. `attempts`: before EngineError.
    `backoff`: seconds at most before the second attempt; it doubles up to 10 s. `supervised`: a dead engine will be
    started again, so that a refused connection is waited out and is no attempt. `key`: that the engines ask for.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        words: ValueWords,
        vocabulary: int,
        *,
        budget: int | None = None,
        seats: int = SEATS_UNKNOWN,
        timeout: float = 600.0,
        attempts: int = 6,
        backoff: float = 0.5,
        supervised: bool = False,
        key: str | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.addresses = [address.rstrip("/") for address in addresses]
        self.words = words
        self.vocabulary = vocabulary
        self.usage = Usage()
        self.max_tokens = 0  # longest prompt and completion together, in tokens, that every address takes
        self._block = 0  # tokens of a block of the prefix cache
        self._budget = budget
        self._seats = seats
        self._attempts = attempts
        self._backoff = backoff
        self._supervised = supervised
        self._life = 0  # of the engine; a request has its attempts anew in each
        self._models: dict[str, str] = {}
        self._clock = clock
        self._meter = Meter(clock)
        self._admissions: dict[str, Admission] = {}
        self._mean_length: float | None = None
        self._timeout, self._key = timeout, key
        # The engine's prefix cache holds what earlier weights computed: whoever may have seen others begins anew.
        self._cache_salt = uuid.uuid4().hex

    async def __aenter__(self) -> Self:
        self._http = connections(self._timeout, self._key)
        try:
            for address in self.addresses:
                await self._greet(address)
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    @property
    def token_budget(self) -> int:
        """Tokens that may be in flight at once, over all addresses."""
        return sum(admission.budget for admission in self._admissions.values())

    @property
    def has_room(self) -> bool:
        """Nothing waits and fewer than half of the living engines' seats are taken: a tree may have several requests
        out."""
        admissions = [admission for admission in self._admissions.values() if admission.is_open]
        taken, seats = sum(one.sequences for one in admissions), sum(one.seats for one in admissions)
        return 2 * taken < seats and not any(one.waiting for one in admissions)

    @property
    def waiting(self) -> int:
        """Requests that wait for admission, at all addresses."""
        return sum(admission.waiting for admission in self._admissions.values())

    @property
    def load(self) -> Load:
        """Of all addresses together, until now."""
        return self._meter.load

    async def generated(self) -> float:
        """Tokens that the engines have generated since they started, those of requests under way among them.

        Raises:
            EngineError: one of them does not tell.
        """
        return sum(await together(generated(self._http, address) for address in self.addresses))

    async def version(self) -> str | None:
        """Of vLLM, of all engines where they differ; None where they do not tell it."""
        told = await together(version(self._http, address) for address in self.addresses)
        return ", ".join(sorted({one for one in told if one})) or None

    def pause(self, address: str) -> None:
        """This engine died: its requests go to another or, where there is none, wait for `resume`."""
        self._life += 1
        self._admissions[address].close()
        self._send_on()

    def resume(self, address: str) -> None:
        self._admissions[address].open()
        self._send_on()

    def _send_on(self) -> None:
        """Who waits for a dead engine tries again, at one that lives, if one does."""
        if any(admission.is_open for admission in self._admissions.values()):
            for admission in self._admissions.values():
                if not admission.is_open:
                    admission.send_away("the engine died")

    def give_up(self, address: str, reason: str) -> None:
        """This engine will answer no request any more. Without another, all that wait, and all to come, raise
        EngineGone."""
        self._admissions[address].give_up(reason)

    async def complete(
        self,
        prompt_ids: Sequence[int],
        *,
        n: int,
        temperature: float,
        max_tokens: int,
        stop: Sequence[str] = (),
        session: str = "",
        priority: int = 0,
        shared: int = 0,
        scored: bool = True,
    ) -> Reply:
        """Samples `n` completions of at most `max_tokens` tokens, each ended by a `stop` string or end of sequence.

        Fewer tokens where the engine's context ends before. Requests of one `session` (a tree) go to one address, which
        holds their prefix, and to another while that one is dead. Where requests must wait, the lowest `priority` is
        sent first, then the oldest. `shared`: tokens at the start of the prompt that most requests share (a few-shot
        prefix). The engine's cache holds them once, so they count once. `scored`: with log-probs and values, which take
        a small model's engine as long as the tokens themselves.

        Raises:
            PromptTooLong: the prompt alone fills the engine's context.
            EngineError: no valid reply.
            ValueError: more than `MOST_STOPS` strings are to end it.
        """
        if len(stop) > MOST_STOPS:
            raise ValueError(f"{len(stop)} strings are to end a completion; the engine takes {MOST_STOPS} at most")
        if len(prompt_ids) >= self.max_tokens:
            raise PromptTooLong(
                f"a prompt of {len(prompt_ids)} tokens leaves no room in the engine's context of {self.max_tokens}"
            )
        max_tokens = min(max_tokens, self.max_tokens - len(prompt_ids))
        request = completion_request(
            self.words,
            prompt_ids,
            [self.words.good, self.words.bad] if scored else [],
            cache_salt=self._cache_salt,
            n=n,
            temperature=temperature,
            max_tokens=max_tokens,
            stop=list(stop),
        )
        expected = max_tokens if self._mean_length is None else min(max_tokens, round(2 * self._mean_length) + 1)

        reply, spent = await self._ask(
            request,
            lambda body: parse_reply(body, n, self.words, self.vocabulary, scored=scored),
            tokens=len(prompt_ids) - shared + n * expected,
            sequences=n,
            session=session,
            priority=priority,
            prefix=tuple(prompt_ids[:shared]),
        )
        self.usage.add(reply.usage)
        reply.usage.add(spent)
        if max_tokens > 1:
            length = reply.usage.generated_tokens / n
            self._mean_length = length if self._mean_length is None else 0.98 * self._mean_length + 0.02 * length
        return reply

    async def values(self, prompts: Sequence[Sequence[int]], *, session: str = "", shared: int = 0) -> list[float]:
        """V in [-1, 1] at the position that predicts the token after each prompt.

        For V of a step, end the prompt before the last token of the step's closing delimiter (design D2).
        """
        replies = await together(
            self.complete(ids, n=1, temperature=0.0, max_tokens=1, session=session, shared=shared) for ids in prompts
        )
        return [reply.completions[0].values[0] for reply in replies]

    async def logprobs(
        self, address: str, prompt_ids: Sequence[int], token_ids: Sequence[int], *, cache_salt: str
    ) -> list[float]:
        """Log-probs of `token_ids` (at most 128) as the token after the prompt, asked of one address.

        Prefixes that were computed under another `cache_salt` are not used.
        """
        request = completion_request(
            self.words, prompt_ids, token_ids, cache_salt=cache_salt, n=1, temperature=0.0, max_tokens=1
        )
        answer, _ = await self._ask(
            request,
            lambda body: parse_logprobs(body, list(token_ids)),
            tokens=len(prompt_ids) + 1,
            sequences=1,
            only=address,
        )
        return answer

    async def likelihoods(
        self, prompt_ids: Sequence[int], continuations: Sequence[Sequence[int]], *, session: str = "", priority: int = 0
    ) -> list[Likelihood]:
        """Log-prob of each whole continuation (at least one token) of a prompt, and whether greedy decoding writes it.

        In the way in which the engine computes fewer tokens: each continuation as the end of a prompt, or next token
        after next token, where the cache holds what comes before.

        Raises:
            PromptTooLong: a continuation ends past the engine's context.
            EngineError: no valid reply.
        """
        longest = len(prompt_ids) + max(map(len, continuations))
        if longest >= self.max_tokens:
            raise PromptTooLong(f"{longest} tokens leave no room in the engine's context of {self.max_tokens}")
        prompt_ids = list(prompt_ids)

        async def ask(ids: Sequence[int], told: Sequence[int], read: Callable[[bytes], T], **more: int) -> T:
            request = completion_request(
                self.words,
                ids,
                told,
                cache_salt=self._cache_salt,
                n=1,
                temperature=0.0,
                max_tokens=1,
                **more,
            )
            (found, usage), _ = await self._ask(
                request,
                lambda body: (read(body), parse_usage(body)),
                tokens=len(ids) + 1,
                sequences=1,
                session=session,
                priority=priority,
            )
            self.usage.add(usage)
            return found

        async def whole(one: list[int]) -> Likelihood:
            return await ask([*prompt_ids, *one], [], lambda body: parse_likelihood(body, one), prompt_logprobs=0)

        async def after(prefix: Ids, nexts: list[int]) -> dict[int, Likelihood]:
            return await ask([*prompt_ids, *prefix], nexts, lambda body: parse_next(body, nexts))

        if not is_shorter_by_token(len(prompt_ids), continuations, self._block):
            return await together(whole(list(one)) for one in continuations)
        tree = branches(continuations)
        first = await after((), tree[()])  # the others find the prompt in the cache
        rest = [prefix for prefix in tree if prefix]
        found = {(): first} | dict(
            zip(rest, await together(after(prefix, tree[prefix]) for prefix in rest), strict=True)
        )
        return [
            joined(found[tuple(one[:place])][token_id] for place, token_id in enumerate(one)) for one in continuations
        ]

    async def _ask(
        self,
        request: dict[str, Any],
        read: Callable[[bytes], T],
        *,
        tokens: int,
        sequences: int,
        session: str = "",
        priority: int = 0,
        prefix: Prefix = (),
        only: str | None = None,
    ) -> tuple[T, Usage]:
        """What `read` makes of the first valid response, and the requests and seconds that it took to get it."""
        spent = Usage()
        failures: list[str] = []
        strikes: Counter[int] = Counter()  # failures that count as attempts, by life of the engine

        async def once() -> T:
            address = only or self._home_of(session, len(failures))
            asked = self._clock()
            async with self._admissions[address](tokens, sequences, priority, prefix):
                sent, life = self._clock(), self._life
                attempt = Usage(requests=1, queue_seconds=sent - asked)
                try:
                    return read(await self._post(address, request | {"model": self._models[address]}))
                except (*FAILURES, InvalidReply, EngineError) as problem:
                    attempt.failed_requests = 1
                    strikes[life] += not (self._supervised and isinstance(problem, aiohttp.ClientConnectorError))
                    failures.append(f"{address}: {str(problem) or type(problem).__name__}")
                    raise
                finally:
                    attempt.service_seconds = self._clock() - sent
                    spent.add(attempt)
                    self.usage.add(attempt)

        try:
            return (
                await AsyncRetrying(
                    retry=retry_if_exception(lambda problem: self._is_for_another_try(problem, only)),
                    stop=lambda _: strikes[self._life] >= self._attempts,
                    wait=wait_random_exponential(multiplier=self._backoff, max=10.0),
                )(once),
                spent,
            )
        except EngineError as problem:
            raise EngineError(str(problem), spent) from None
        except RetryError:
            reasons = "; ".join(dict.fromkeys(failures))
            raise EngineError(f"no valid reply from the engine in {len(failures)} attempts: {reasons}", spent) from None

    def _home_of(self, session: str, turn: int) -> str:
        """The address of a session after so many failed attempts: its own, then one after another of the rest. Those of
        dead engines are passed over, and their sessions spread over all others."""
        able = [address for address in self.addresses if self._admissions[address].is_open]
        waiting = [address for address in self.addresses if not self._admissions[address].is_lost]
        homes = able or waiting or self.addresses
        place = zlib.crc32(session.encode())
        own = self.addresses[place % len(self.addresses)]
        if own in homes:
            return homes[(homes.index(own) + turn) % len(homes)]
        return homes[(place // len(self.addresses) + turn) % len(homes)]

    def _is_for_another_try(self, problem: BaseException, only: str | None) -> bool:
        if isinstance(problem, EngineGone):
            return not all(self._admissions[address].is_lost for address in ([only] if only else self.addresses))
        return isinstance(problem, (*FAILURES, InvalidReply))

    async def _post(self, address: str, request: dict[str, Any]) -> bytes:
        """One exchange; the benchmarks' engines say more in the request."""
        return await post(self._http, address, request)

    async def _greet(self, address: str) -> None:
        greeting = await greet(self._http, address)
        self._models[address] = greeting.model
        self._block = max(self._block, greeting.block_tokens)
        self.max_tokens = min(self.max_tokens or greeting.max_tokens, greeting.max_tokens)
        budget = self._budget or sum(greeting.cache_tokens) or BUDGET_UNKNOWN
        self._admissions[address] = Admission(budget, self._seats * max(1, len(greeting.cache_tokens)), self._meter)

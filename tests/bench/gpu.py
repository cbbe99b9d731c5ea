"""A simulated engine: vLLM's scheduler on a model of how long one forward pass takes on an H100.

    seconds = OVERHEAD + max(weights / bandwidth, tokens * FLOP / compute) + cache read / bandwidth + PER_SEQUENCE * n

A roofline with four numbers that were fitted to *published* medians (`PUBLISHED`, within 4 %); throughputs of the same
source, which were not fitted, come out within 7 %. We ran no engine on a GPU. The form is inferred, and so is every
model but Qwen3-8B. Not in it: preemption, the quadratic part of attention (prompts of thousands of tokens take longer
than here), and log-probs, which the figures are without (vLLM's pull request 9880: 17 % when they were introduced).
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

BANDWIDTH, COMPUTE = 3.35e12, 989e12
"""Of an H100 SXM's data sheet: bytes/s of its memory, dense bfloat16 operations/s."""
MEMORY_SHARE, COMPUTE_SHARE = 0.89, 0.65
"""Fitted: what a pass gets of them."""
OVERHEAD, PER_SEQUENCE = 1.83e-3, 8.4e-6
"""Fitted: seconds of a pass, and of each sequence in it (sampling, scheduling)."""
BATCHED = 8192
"""Tokens of one pass at most: vLLM 0.32's default for a server on an H100."""
BLOCK = 16
"""Tokens of a block of the KV cache."""


@dataclass(frozen=True, slots=True)
class Model:
    """In bfloat16. `read`: parameters that a pass reads, all but the input embedding. `kv_bytes`: of a token.
    `cache_tokens`: that the KV cache holds beside the weights, at 0.85 of an 80 GB card's memory."""

    read: float
    kv_bytes: int
    cache_tokens: int

    def pass_seconds(self, *, tokens: int, sequences: int, context: int) -> float:
        """Of a pass that computes so many tokens, samples for so many sequences and reads `context` tokens of cache."""
        bandwidth, compute = MEMORY_SHARE * BANDWIDTH, COMPUTE_SHARE * COMPUTE
        matrices = max(2 * self.read / bandwidth, tokens * 2 * self.read / compute)
        return OVERHEAD + matrices + context * self.kv_bytes / bandwidth + sequences * PER_SEQUENCE


MODELS = {
    "qwen3-8b": Model(read=7.57e9, kv_bytes=2 * 36 * 8 * 128 * 2, cache_tokens=348_000),
    "deepseek-math-7b": Model(read=6.49e9, kv_bytes=2 * 30 * 32 * 128 * 2, cache_tokens=110_000),
}
"""By their configurations. Qwen3-8B's cache is published, 377,024 tokens at 0.9; DeepSeekMath's, which has no grouped
heads, is inferred."""

SOURCE = "github.com/tgarg01/silybench-data 93e4887, derived/csv/perf_points.csv (CC BY 4.0)"
PUBLISHED = {
    (128, 128): {1: (6.83, 145), 16: (7.14, 2156), 64: (8.15, 6958), 128: (9.34, 11194), 256: (12.83, 13093)},
    (128, 1024): {1: (6.86, 146), 16: (7.53, 2117), 64: (9.49, 6597), 128: (12.00, 10301), 256: (18.08, 13567)},
    (1024, 128): {1: (6.89, 141), 64: (10.92, 2847), 128: (14.87, 3349)},
    (2048, 2048): {1: (7.00, 142), 16: (9.46, 1625), 64: (17.05, 3463)},
}
"""Qwen3-8B in bfloat16, vLLM 0.30, one H100 80 GB. (prompt, answer) tokens: users at once: median ms between a user's
tokens, and output tokens/s of all. Random prompts; a user asks again when answered."""


class PrefixCache:
    """Of one engine: blocks of token ids, known by all that stands before them; the least recently used go first."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()

    @staticmethod
    def path(ids: bytes, start: int = 0) -> list[int]:
        """The keys of its whole blocks, where `start` is that of the block before."""
        keys, key = [], start
        for at in range(0, len(ids) - BLOCK + 1, BLOCK):
            key = hash((key, ids[at : at + BLOCK]))
            keys.append(key)
        return keys

    def hold(self, path: Sequence[int], room: int) -> int:
        """How many tokens it held from the start; now it holds all of them, and `room` tokens in all."""
        found = next((at for at, key in enumerate(path) if key not in self._blocks), len(path))
        for key in reversed(path):  # the end of a prompt goes before its beginning
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) * BLOCK > room:
            self._blocks.popitem(last=False)
        return found * BLOCK


class _Request:
    """`prompt`: its tokens. `left`: answers that have not ended."""

    def __init__(self, prompt: int, left: int) -> None:
        self.prompt, self.left = prompt, left
        self.done = asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Sequence:
    """`todo`: tokens of the prompt that are still to be computed. `length`: tokens of its answer."""

    request: _Request
    todo: int
    length: int


class GPU:
    """Continuous batching with chunked prefill: every pass gives each running sequence a token and fills up with
    prompts. `slowness`: every pass takes so many times as long. Its sums are over passes."""

    def __init__(self, model: Model, seats: int, slowness: float = 1.0) -> None:
        self.model, self.seats, self.slowness = model, seats, slowness
        self.cache = PrefixCache()
        self.passes = self.sequences = self.generated = self.computed = 0
        self.busy_seconds = self.ended_at = self.fullest = 0.0
        self._waiting: deque[_Sequence] = deque()
        self._ends: list[tuple[int, int, _Sequence]] = []  # running sequences by their last pass
        self._context = 0  # tokens of the running sequences
        self._held = 0  # tokens of the cache that nothing may displace
        self._asked = 0
        self._woken = asyncio.Event()

    async def serve(self, prompt: Sequence[int], answers: Sequence[Sequence[int]], shared: int, cached: bool) -> int:
        """One request in token ids below 256, to its last token; how many tokens of its prompt were cached.

        `shared`: tokens at its start that are always cached. `cached`: else it finds nothing and leaves nothing.
        """
        own = bytes(prompt[shared:])
        path = self.cache.path(own)
        found = shared + self.cache.hold(path, self._room) if cached else 0
        request = _Request(len(prompt), len(answers))
        for number, answer in enumerate(answers):  # who asks for several computes their prompt once
            todo = max(1, len(prompt) - found) if number == 0 else 1 + (len(prompt) - 1) % BLOCK
            self._waiting.append(_Sequence(request, todo, len(answer)))
        self._held += len(own)
        self._woken.set()
        await request.done
        self._held -= len(own)
        if cached:
            last = path[-1] if path else 0
            for answer in answers:
                self.cache.hold(self.cache.path(own[len(path) * BLOCK :] + bytes(answer[:-1]), last), self._room)
        return found

    @property
    def _room(self) -> int:
        """Tokens of the cache that running sequences do not hold."""
        return self.model.cache_tokens - self._held

    async def run(self) -> None:
        """Passes, for ever."""
        while True:
            if not (self._ends or self._waiting):
                self._woken.clear()
                await self._woken.wait()
            running = len(self._ends)
            begun, prompts, read = self._take(BATCHED - running, self.seats - running)
            seconds = self.slowness * self.model.pass_seconds(
                tokens=running + prompts, sequences=running + len(begun), context=self._context + read
            )
            await asyncio.sleep(seconds)
            self.passes += 1
            self.busy_seconds += seconds
            self.ended_at = asyncio.get_running_loop().time()
            self.sequences += running + len(begun)
            self.computed += prompts
            self._context += running
            self._held += running + len(begun)
            self.generated += running + len(begun)
            for one in begun:
                self._asked += 1
                self._context += one.request.prompt + 1
                heappush(self._ends, (self.passes + one.length - 1, self._asked, one))
            self._end()

    def _take(self, room: int, seats: int) -> tuple[list[_Sequence], int, int]:
        """Prompts into a pass with so much room: the sequences whose prompts it ends, tokens computed and read."""
        begun: list[_Sequence] = []
        computed = read = 0
        while self._waiting and room and len(begun) < seats:
            one = self._waiting[0]
            chunk = min(one.todo, room)
            one.todo -= chunk
            room -= chunk
            computed += chunk
            read += one.request.prompt - one.todo
            if one.todo:
                break
            begun.append(self._waiting.popleft())
        return begun, computed, read

    def _end(self) -> None:
        self.fullest = max(self.fullest, self._held / self.model.cache_tokens)
        if self.fullest > 1:
            raise RuntimeError("the KV cache is overfull: vLLM would preempt, which is not simulated")
        while self._ends and self._ends[0][0] <= self.passes:
            one = heappop(self._ends)[2]
            self._context -= one.request.prompt + one.length
            self._held -= one.length
            one.request.left -= 1
            if not one.request.left:
                one.request.done.set_result(None)

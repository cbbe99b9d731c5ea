"""What a search asks: a policy that samples actions, and who judges them. The driver knows no more of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.engine.usage import Usage
from tasks.search.method import Draw


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled action, with the beginning that was given for it, if any.

    `logprob`: summed over the `sampled` last tokens of `token_ids`; those before them were given. `value`: V at its
    closing delimiter (design D2).
    """

    text: str
    token_ids: tuple[int, ...]
    logprob: float
    value: float
    sampled: int


@dataclass(frozen=True, slots=True)
class Expansion:
    """The policy's reply, with what it cost."""

    samples: Sequence[Sample]
    cost: Usage


class Policy(Protocol):
    """Samples actions. Raises `PolicyError` when it can not, however often it tried."""

    @property
    def has_room(self) -> bool:
        """The queue runs short: a tree may have several leaves out."""

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        """Samples of one state. Requests of a `session` share a prefix; a lower `priority` is served first."""


class PolicyError(RuntimeError):
    """The policy gave no reply, though so much was `spent`: the tree fails, without a reward."""

    def __init__(self, message: str, spent: Usage | None = None) -> None:
        super().__init__(message)
        self.spent = spent or Usage()


class ContextFull(PolicyError):
    """The state alone fills the policy's context."""


class Undecided(PolicyError):
    """The answer check could not say whether an answer is right."""


Judge = Callable[[str], Awaitable[bool]]
"""Whether an answer is right; raises `Undecided` when it can not be decided."""

Leaks = Callable[[str], Awaitable[bool]]
"""Whether a plan states the answer that its hint gave away."""


async def no_leaks(plan: str) -> bool:
    """Of who was given no hint."""
    return False

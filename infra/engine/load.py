"""An engine's use over time: every request adds its part on entering and takes it away on leaving."""

from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds, from any start; never backwards."""


@dataclass(frozen=True, slots=True)
class Load:
    """Since the client was made. The difference of two snapshots is the load between them.

    Utilisation is `busy_seconds / seconds`, the mean number of sequences in flight `sequence_seconds / seconds`.
    `busy_seconds`: with at least one request in flight. `sequence_seconds`: the integral of sequences in flight.
    """

    seconds: float
    busy_seconds: float
    sequence_seconds: float


class Meter:
    """Adds up the load of one or several addresses, exactly: between two changes nothing changes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = self._changed = clock()
        self._requests = self._sequences = 0
        self._busy_seconds = self._sequence_seconds = 0.0

    @property
    def load(self) -> Load:
        self._add(requests=0, sequences=0)
        return Load(self._changed - self._started, self._busy_seconds, self._sequence_seconds)

    def enter(self, sequences: int) -> None:
        self._add(requests=1, sequences=sequences)

    def leave(self, sequences: int) -> None:
        self._add(requests=-1, sequences=-sequences)

    def _add(self, *, requests: int, sequences: int) -> None:
        now = self._clock()
        seconds = now - self._changed
        self._changed = now
        if self._requests:
            self._busy_seconds += seconds
            self._sequence_seconds += seconds * self._sequences
        self._requests += requests
        self._sequences += sequences

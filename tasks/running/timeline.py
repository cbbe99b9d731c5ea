"""How a stage's work went on over time: a few hundred points, however long it takes. `cpl trace` draws them."""

import time

MOST = 256
"""Points of a series: with more, every second one is left out, and later ones are twice as far apart."""

Series = dict[str, list[float]]


class Timeline:
    """What a stage measured of itself, from when this was made on. It is kept in the stage's manifest and is no part of
    its version: the same content, made at another pace, is the same stage."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._spacing: dict[str, float] = {}
        self.series: dict[str, Series] = {}

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def add(self, name: str, **numbers: float) -> None:
        """A point of a series, always of the same numbers. The newest is always kept.

        Sums that only grow lose nothing where points between are left out: what lies between two is their difference.
        """
        points = self.series.setdefault(name, {"at": [], **{key: [] for key in numbers}})
        at = points["at"]
        if len(at) > 2 and at[-1] - at[-2] < self._spacing.get(name, 0.0):
            for column in points.values():
                column.pop()
        for key, number in {"at": self.seconds, **numbers}.items():
            points[key].append(round(number, 4))
        if len(at) > MOST:
            for column in points.values():
                del column[1:-1:2]
            self._spacing[name] = (at[-1] - at[0]) / len(at)

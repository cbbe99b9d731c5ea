"""A forecast of a round: what each question of a handful took, times the questions that the round has.

    seconds of a stage = start + times x units of all questions / pace

Units are tokens that an engine generates, or rows that a trainer sees. `start` is what a stage takes whatever its size:
an engine's start or new weights, a trainer's. The pace is measured with a full engine (tasks.stages.pace), or over the
handful's own updates. An interval is Student's t over the questions of the handful, with the correction for a finite
population: the handful is a part of the round. It holds the truth in about 95 % of draws, in fewer where some questions
take most of all (87 % where what they take is lognormal with sigma 1). It knows which questions were drawn, and nothing
else: not that the machine slows down, nor that trained models answer at another length.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and how far off it may be: half of its 95 % interval, infinite where one question was seen of several."""

    mean: float
    error: float

    def __add__(self, other: "Estimate") -> "Estimate":
        """Of both together. All estimates rest on the same handful, so their errors may be off the same way."""
        return Estimate(self.mean + other.mean, self.error + other.error)

    def __mul__(self, factor: float) -> "Estimate":
        return Estimate(self.mean * factor, self.error * factor)


@dataclass(frozen=True, slots=True)
class Questions:
    """Of one kind: `each`, the units that each of the handful took; `count` in the whole round."""

    each: Sequence[float]
    count: float

    @property
    def all(self) -> Estimate:
        """Units of all questions of the kind."""
        from scipy.stats import t  # a second that every process of a flow would wait

        seen = len(self.each)
        mean = sum(self.each) / max(seen, 1)
        if seen >= self.count:
            return Estimate(mean * self.count, 0.0)
        if seen < 2:
            return Estimate(mean * self.count, math.inf)
        variance = sum((one - mean) ** 2 for one in self.each) / (seen - 1)
        stderr = math.sqrt(variance / seen * (1 - seen / self.count))
        return Estimate(mean * self.count, float(t.ppf(0.975, seen - 1)) * stderr * self.count)


@dataclass(frozen=True, slots=True)
class Work:
    """A stage of the round. `start`: seconds whatever its size. `pace`: units a second. `times`: that all questions are
    gone through. `after`: a stage that it waits for, among those that run side by side."""

    stage: str
    start: float
    questions: Sequence[Questions] = ()
    pace: float = 1.0
    unit: str = ""
    times: float = 1.0
    after: str = ""

    @property
    def units(self) -> Estimate:
        return sum((kind.all for kind in self.questions), Estimate(0.0, 0.0)) * self.times

    @property
    def seconds(self) -> Estimate:
        return Estimate(self.start, 0.0) + self.units * (1 / self.pace)


def side_by_side(works: Iterable[Work], at_once: int) -> float:
    """Seconds until all are done, begun in this order, at most so many at once, none before what it waits for."""
    free = [0.0] * at_once
    ends: dict[str, float] = {}
    for work in works:
        free.sort()
        ends[work.stage] = free[0] = max(free[0], ends.get(work.after, 0.0)) + work.seconds.mean
    return max(ends.values(), default=0.0)


def whole(in_turn: Sequence[Work], beside: Sequence[Work], at_once: int) -> Estimate:
    """Seconds of the round: stages in turn, and trainings `beside` one another."""
    trainings = sum((work.seconds for work in beside), Estimate(0.0, 0.0))
    shorter = side_by_side(beside, at_once) / trainings.mean if trainings.mean else 0.0
    return sum((work.seconds for work in in_turn), Estimate(0.0, 0.0)) + trainings * shorter


def update_seconds(progress: Sequence[Mapping[str, float]]) -> float:
    """Of all updates of a training, from the lines of its progress: at the pace after the first, which warms up. Of one
    update alone its own seconds, warm-up included: too many."""
    first, last = progress[0], progress[-1]
    if last["update"] == first["update"]:
        return last["seconds"]
    each = (last["seconds"] - first["seconds"]) / (last["update"] - first["update"])
    return each * last["update"]


def table(works: Sequence[Work]) -> Iterable[str]:
    """The forecast as Markdown, a line a stage."""
    yield "| stage | a question | in all | seconds |"
    yield "| --- | --- | --- | --- |"
    for work in works:
        seen = [unit for kind in work.questions for unit in kind.each]
        each = f"{_number(sum(seen) / len(seen))} {work.unit}" if seen else ""
        yield f"| {work.stage} | {each} | {said(work.units) if seen else ''} | {said(work.seconds)} |"


def said(one: Estimate) -> str:
    """The mean with its interval, to the digits that it can have."""
    if not one.error:
        return _number(one.mean)
    if math.isinf(one.error):
        return f"{_number(one.mean)} (too few questions for an interval)"
    return f"{_number(one.mean)} ({_number(max(one.mean - one.error, 0))} to {_number(one.mean + one.error)})"


def _number(one: float) -> str:
    return f"{one:,.0f}" if one >= 100 or one == round(one) else f"{one:.1f}" if one >= 10 else f"{one:.2f}"

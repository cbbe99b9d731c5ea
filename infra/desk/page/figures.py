"""Plots as SVG inside the page: shapes alone, whose colours are the style sheet's.

Lengths along x are shares of the width that the page gives, so that a plot fits a telephone and its text keeps its
size. Every plot stands in or beside a table with its numbers, which is what a screen reader reads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

ROW = 22
"""Height of a plot that is a row of a table, in pixels."""


@dataclass(frozen=True)
class Scale:
    """Where numbers from `low` to `high` lie: from 0 % to 100 % of a width."""

    low: float
    high: float

    def at(self, x: float) -> str:
        return f"{self.share(x):.2f}%"

    def share(self, x: float) -> float:
        """Percent of the width, clipped to it."""
        return 100 * min(1.0, max(0.0, (x - self.low) / ((self.high - self.low) or 1)))

    def ticks(self, most: int = 4) -> list[float]:
        """Round numbers on it: at most `most`, 1, 2 or 5 times a power of ten apart."""
        apart = (self.high - self.low) / most or 1
        power = 10.0 ** math.floor(math.log10(apart))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= apart * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(number * step, 10) for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


SHARES = Scale(0.0, 1.0)
VALUES = Scale(-1.0, 1.0)


def around(numbers: Sequence[float], zero: bool = True) -> Scale:
    """The smallest scale with round ends that holds all numbers and, by default, 0."""
    held = [*numbers, *([0.0] if zero else [])] or [0.0, 1.0]
    low, high = min(held), max(held)
    if low == high:
        return Scale(low, low + 1.0)
    step = 10.0 ** math.floor(math.log10(high - low)) / 2
    return Scale(round(math.floor(low / step + 1e-9) * step, 10), round(math.ceil(high / step - 1e-9) * step, 10))


def axis(scale: Scale) -> Markup:
    """The numbers above the plots of a column. The outer two stay inside."""
    ticks = scale.ticks()
    anchors = {ticks[0]: "start", ticks[-1]: "end"} if len(ticks) > 1 else {}
    texts = [
        Markup('<text x="{}" y="14" text-anchor="{}">{:g}</text>').format(
            scale.at(tick), anchors.get(tick, "middle"), tick
        )
        for tick in ticks
    ]
    return _svg("axis", 18, texts)


def interval(scale: Scale, middle: float, low: float, high: float, mark: str = "", zero: float | None = None) -> Markup:
    """A dot and how far it may be off. `mark`: a class of the style sheet; `zero`: where nothing differs."""
    lines = [_line("grid", scale.at(tick), scale.at(tick), 0, ROW) for tick in scale.ticks()]
    if zero is not None:
        lines.append(_line("zero", scale.at(zero), scale.at(zero), 0, ROW))
    lines.append(_line("error", scale.at(low), scale.at(high), ROW / 2, ROW / 2))
    dot = Markup('<circle class="dot" cx="{}" cy="{}" r="4.5"/>').format(scale.at(middle), ROW / 2)
    return _svg(f"interval {mark}", ROW, [*lines, dot])


def bar(share: float | None) -> Markup:
    """A share of 1 as the length of a bar; nothing where it is unknown."""
    if share is None:
        return Markup("")
    whole = Markup('<rect class="ground" x="0" y="6" width="100%" height="10" rx="2"/>')
    part = Markup('<rect class="part" x="0" y="6" width="{}" height="10" rx="2"/>').format(SHARES.at(share))
    return _svg("bar", ROW, [whole, part])


def parts(counts: Sequence[tuple[int, bool]]) -> Markup:
    """Counts side by side as parts of one bar: those that go on are filled, the others hatched."""
    total = sum(count for count, _ in counts) or 1
    shapes, before = [], 0
    for number, (count, is_kept) in enumerate(counts):
        shapes.append(
            Markup('<rect class="{}" x="{:.3f}%" y="2" width="{:.3f}%" height="18"/>').format(
                f"{'kept' if is_kept else 'lost'} n{number}", 100 * before / total, 100 * count / total
            )
        )
        before += count
    return _svg("parts", ROW, shapes)


def histogram(bins: Sequence[tuple[float, int]], width: float, scale: Scale, height: int = 120) -> Markup:
    """Counts as bars: (where a bin begins, how many are in it), all of one `width`; the highest fills the height."""
    most = max((count for _, count in bins), default=1)
    shapes = [
        Markup(
            '<rect class="part" x="{}" width="{:.2f}%" y="{:.2f}%" height="{:.2f}%"><title>{}</title></rect>'
        ).format(
            scale.at(begin),
            max(0.3, scale.share(begin + width) - scale.share(begin) - 0.4),
            100 - 100 * count / most,
            100 * count / most,
            f"{begin:g} to {begin + width:.4g}: {count:,}",
        )
        for begin, count in bins
    ]
    frame = [_line("base", "0%", "100%", "100%", "100%"), *_below(scale)]
    most_text = Markup('<text class="most" x="0" y="-6">{:,}</text>').format(most)
    return _svg("plot histogram", height, [*shapes, *frame, most_text])


def calibration(bins: Sequence[tuple[float, float, float | None, int]], height: int = 300) -> Markup:
    """Dots (mean V, mean outcome, standard error, how many steps) in [-1, 1]^2 with 95 % intervals; a true V lies on
    the diagonal. A dot's area says how many steps it stands for."""
    most = max((steps for *_, steps in bins), default=1)
    shapes = [_line("diagonal", "0%", "100%", "100%", "0%"), _line("base", "0%", "100%", "100%", "100%")]
    for tick in VALUES.ticks():
        up = f"{100 - VALUES.share(tick):.2f}%"
        shapes.append(_line("grid", "0%", "100%", up, up))
        shapes.append(Markup('<text x="-8" y="{}" dy="4" text-anchor="end">{:g}</text>').format(up, tick))
    for value, outcome, error, steps in bins:
        x = VALUES.at(value)
        if error is not None:
            low, high = (100 - VALUES.share(outcome + sign * 1.96 * error) for sign in (-1, 1))
            shapes.append(_line("error", x, x, f"{low:.2f}%", f"{high:.2f}%"))
        shapes.append(
            Markup('<circle class="dot" cx="{}" cy="{:.2f}%" r="{:.1f}"><title>{}</title></circle>').format(
                x,
                100 - VALUES.share(outcome),
                3 + 7 * math.sqrt(steps / most),
                f"V {value:+.2f}, outcome {outcome:+.2f}, {steps:,} steps",
            )
        )
    return _svg("plot square", height, [*shapes, *_below(VALUES)])


def curve(points: Sequence[tuple[float, float]], height: int = 110) -> Markup:
    """Loss by update, as it was told and, stronger, its running mean; at most 300 points of each."""
    xs, ys = Scale(points[0][0], points[-1][0]), around([y for _, y in points])
    every = -(-len(points) // 300)
    lines = [
        Markup('<polyline class="{}" points="{}" vector-effect="non-scaling-stroke"/>').format(
            name, " ".join(f"{xs.share(x):.2f},{100 - ys.share(y):.2f}" for x, y in [*line[:-1:every], line[-1]])
        )
        for name, line in (("told", points), ("line", running_mean(points)))
    ]
    shapes = [
        Markup('<svg viewBox="0 0 100 100" width="100%" height="100%" preserveAspectRatio="none">{}</svg>').format(
            Markup("").join(lines)
        ),
        _line("base", "0%", "100%", "100%", "100%"),
    ]
    for tick in ys.ticks(3):
        up = f"{100 - ys.share(tick):.2f}%"
        shapes.append(_line("grid", "0%", "100%", up, up))
        shapes.append(Markup('<text x="-8" y="{}" dy="4" text-anchor="end">{:g}</text>').format(up, tick))
    return _svg("plot", height, [*shapes, *_below(xs, 3)])


Point = tuple[int, float, float, float]
"""Of a curve over rounds: the round, the value, and the ends of its interval."""


def over_rounds(
    lines: Sequence[tuple[str, str, Sequence[Point]]], ys: Scale, zero: float | None = None, height: int = 150
) -> Markup:
    """Curves over the rounds of a campaign: (name, class of the style sheet, points) each, with 95 % intervals."""
    numbers = [point[0] for _, _, points in lines for point in points]
    xs = Scale(min(numbers) - 0.5, max(numbers) + 0.5)
    shapes = [_line("base", "0%", "100%", "100%", "100%")]
    for tick in ys.ticks(3):
        up = _up(ys, tick)
        shapes.append(_line("grid", "0%", "100%", up, up))
        shapes.append(Markup('<text x="-8" y="{}" dy="4" text-anchor="end">{:g}</text>').format(up, tick))
    if zero is not None:
        shapes.append(_line("zero", "0%", "100%", _up(ys, zero), _up(ys, zero)))
    for name, mark, points in lines:
        for (x1, y1, *_), (x2, y2, *_) in pairwise(points):
            shapes.append(_line(f"path {mark}", xs.at(x1), xs.at(x2), _up(ys, y1), _up(ys, y2)))
        for number, y, low, high in points:
            shapes.append(_line(f"error {mark}", xs.at(number), xs.at(number), _up(ys, low), _up(ys, high)))
            shapes.append(
                Markup('<circle class="dot {}" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
                    mark, xs.at(number), _up(ys, y), f"{name}, round {number}: {y:.4g}"
                )
            )
    shapes += [
        Markup('<text x="{}" y="100%" dy="18" text-anchor="middle">{:d}</text>').format(xs.at(number), number)
        for number in sorted(set(numbers))[:: -(-len(set(numbers)) // 10)]
    ]
    return _svg("plot rounds", height, shapes)


def _up(ys: Scale, y: float) -> str:
    """How far below the top of a plot a value lies."""
    return f"{100 - ys.share(y):.2f}%"


def running_mean(points: Sequence[tuple[float, float]], share: float = 0.1) -> list[tuple[float, float]]:
    """Each y as the mean of those around it: `share` of all points, fewer at the ends."""
    half = int(len(points) * share / 2)
    windows = [points[max(0, place - half) : place + half + 1] for place in range(len(points))]
    return [(x, sum(y for _, y in window) / len(window)) for (x, _), window in zip(points, windows, strict=True)]


def _below(scale: Scale, most: int = 4) -> list[Markup]:
    """The numbers of a plot's x axis, under it."""
    return [
        Markup('<text x="{}" y="100%" dy="18" text-anchor="middle">{:g}</text>').format(scale.at(tick), tick)
        for tick in scale.ticks(most)
    ]


def _line(name: str, x1: object, x2: object, y1: object, y2: object) -> Markup:
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(name, x1, x2, y1, y2)


def _svg(name: str, height: int, shapes: Sequence[Markup]) -> Markup:
    inside = Markup("").join(shapes)
    return Markup('<svg class="{}" width="100%" height="{}" aria-hidden="true">{}</svg>').format(name, height, inside)

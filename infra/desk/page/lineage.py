"""What was made of what: the stages of a round as a graph, each to the right of all that it is made of."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 128, 40, 27, 12, 6
"""Of a box, between boxes, and around all, in pixels."""


@dataclass(frozen=True)
class Made:
    """A stage: its name, a line about it, the stages that it is made of, and whether an earlier run had made it."""

    name: str
    about: str
    of: frozenset[str]
    is_reused: bool


def columns(of: Mapping[str, Set[str]]) -> list[list[str]]:
    """The stages in columns: each right behind the last of those that it is made of, near them where there is room."""
    column: dict[str, int] = {}
    for name in _ordered(of):
        column[name] = 1 + max((column[one] for one in of[name]), default=-1)
    laid: list[list[str]] = [[] for _ in range(1 + max(column.values(), default=-1))]
    height: dict[str, float] = {}
    for name in _ordered(of):
        laid[column[name]].append(name)
    for names in laid:
        names.sort(key=lambda name: sum(height[one] for one in of[name]) / len(of[name]) if of[name] else 0)
        height |= {name: place - (len(names) - 1) / 2 for place, name in enumerate(names)}
    return laid


def shortest(of: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """Without what others imply: of a -> b -> c and a -> c the last."""
    below: dict[str, set[str]] = {}
    for name in _ordered(of):
        below[name] = set(of[name]).union(*(below[one] for one in of[name]))
    return {name: {one for one in ones if not any(one in below[other] for other in ones)} for name, ones in of.items()}


def _ordered(of: Mapping[str, Set[str]]) -> list[str]:
    """Every stage behind all that it is made of; the same for the same stages.

    Raises:
        ValueError: where a stage is, by others, made of itself: whoever can write to the store can write that.
    """
    ordered: dict[str, None] = {}
    while len(ordered) < len(of):
        free = [name for name in of if name not in ordered and of[name] <= ordered.keys()]
        if not free:
            raise ValueError("the stages of this round are made of each other in a circle")
        ordered |= dict.fromkeys(free)
    return list(ordered)


def lineage(stages: Sequence[Made]) -> Markup:
    """The graph. What an earlier run had made has a dashed frame."""
    of = shortest({stage.name: stage.of for stage in stages})
    laid = columns(of)
    tallest = max(map(len, laid), default=0)
    place = {
        name: (
            MARGIN + number * (WIDTH + ACROSS),
            MARGIN + (row + (tallest - len(names)) / 2) * (HEIGHT + DOWN),
        )
        for number, names in enumerate(laid)
        for row, name in enumerate(names)
    }
    edges = [_edge(*place[one], *place[name]) for name, ones in of.items() for one in sorted(ones)]
    boxes = [_box(stage, *place[stage.name]) for stage in stages]
    wide = 2 * MARGIN + len(laid) * (WIDTH + ACROSS) - ACROSS
    high = 2 * MARGIN + tallest * (HEIGHT + DOWN) - DOWN
    return Markup('<svg class="lineage" width="{}" height="{}" aria-hidden="true">{}</svg>').format(
        wide, high, Markup("").join([*edges, *boxes])
    )


def _edge(x1: float, y1: float, x2: float, y2: float) -> Markup:
    begin, end, middle = (x1 + WIDTH, y1 + HEIGHT / 2), (x2, y2 + HEIGHT / 2), (x1 + WIDTH + x2) / 2
    return Markup('<path class="edge" d="M{:g},{:g} C{:g},{:g} {:g},{:g} {:g},{:g}"/>').format(
        *begin, middle, begin[1], middle, end[1], *end
    )


def _box(stage: Made, x: float, y: float) -> Markup:
    return Markup(
        '<g class="{}"><rect x="{:g}" y="{:g}" width="{}" height="{}" rx="4"/>'
        '<text class="name" x="{:g}" y="{:g}">{}</text><text class="about" x="{:g}" y="{:g}">{}</text></g>'
    ).format(
        "stage reused" if stage.is_reused else "stage",
        *(x, y, WIDTH, HEIGHT),
        *(x + 10, y + 17, stage.name if len(stage.name) < 19 else stage.name[:17] + "…"),
        *(x + 10, y + 32, stage.about),
    )

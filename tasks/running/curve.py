"""A training run's loss as a picture in the UI: an SVG inside an artifact, drawn anew while the trainer runs."""

import base64
from collections.abc import Sequence
from typing import Any

from tasks.running.progress import show_page

WIDTH, HEIGHT, MARGIN = 640, 240, 40
POINTS = WIDTH - 2 * MARGIN
"""Of a line at most, one a pixel: a training of a hundred thousand updates is sent to the server every few seconds."""


def show_curve(name: str, progress: Sequence[dict[str, Any]]) -> None:
    """Publishes the curve of `loss` over updates, with the last figures in words below it."""
    picture = as_image(curve_svg([(line["update"], line["loss"]) for line in progress]), f"loss of {name}")
    last = progress[-1]
    figures = "\n".join(f"| {key} | {value:.5g} |" for key, value in last.items() if isinstance(value, (int, float)))
    show_page(
        key=f"{name.replace('_', '-')}-loss",
        text=f"{picture}\n\n| | |\n|---|---|\n{figures}\n",
        description=f"Loss of {name} by update",
    )


def as_image(svg: str, what: str) -> str:
    """The picture inside Markdown: an SVG as data, which no page of another server is asked for."""
    return f"![{what}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})\n"


def curve_svg(points: Sequence[tuple[float, float]]) -> str:
    """A line through (update, loss) with the extremes named on both axes."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)

    def place(x: float, y: float) -> str:
        across = (x - left) / (right - left or 1)
        up = (y - low) / (high - low or 1)
        return f"{MARGIN + across * (WIDTH - 2 * MARGIN):.1f},{HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN):.1f}"

    every = -(-len(points) // POINTS)
    line = " ".join(place(x, y) for x, y in [*points[:-1:every], points[-1]])
    bottom = HEIGHT - MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<path d="M{MARGIN},{MARGIN} V{bottom} H{WIDTH - MARGIN}" fill="none" stroke="#999"/>'
        f'<polyline points="{line}" fill="none" stroke="#1860f2" stroke-width="2"/>'
        '<g font-family="sans-serif" font-size="12" fill="#444">'
        f'<text x="4" y="{MARGIN + 4}">{high:.3g}</text><text x="4" y="{bottom}">{low:.3g}</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - 16}">update {left:g}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 16}" text-anchor="end">{right:g}</text></g></svg>'
    )

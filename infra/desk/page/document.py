"""The page as HTML: one file with its style, its script and its data, which asks for nothing else.

Text of models and questions is anybody's. In the template everything is escaped, what the explorer shows is compressed
data and is put in as text, and the content policy names the digests of the script and the style that may act: nothing
else runs, loads or is sent, even if an escape were forgotten.
"""

import base64
import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from infra.desk.page import figures, lineage
from infra.desk.page.explorer import packed
from infra.desk.page.reading import RoundPage
from infra.desk.page.verdict import verdict
from infra.desk.summary import Row, against, asked_as

HERE = Path(__file__).parent

SCRIPT = [HERE / "script" / f"{name}.js" for name in ("words", "rows", "tree", "outline", "map", "sides", "explorer")]


def document(page: RoundPage) -> str:
    """The whole page."""
    summary = page.summary
    style, script = (HERE / "page.css").read_text(), "\n".join(part.read_text() for part in SCRIPT)
    [made] = page.figures["round"]
    calibration = page.figures["calibration"]
    compared = [row | {"asked": asked_as(row), "against": against(row)} for row in summary["comparisons"]]
    scores = [row | {"asked": asked_as(row)} for row in page.figures["scores"]]
    template = templates().get_template("page.html")
    return template.render(
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        queries={name: as_asked(text, summary["campaign"], summary["round"]) for name, text in page.queries.items()},
        summary=summary,
        code=made["code"],
        created_at=f"{made['created_at']:%d %B %Y}",
        verdict=verdict(
            summary["models"],
            summary["evaluations"],
            summary["comparisons"],
            page.asked,
            page.figures["yield"],
            summary["value_rankings"],
        ),
        scores=grouped(scores, "asked", "split"),
        comparisons=grouped(compared, "asked", "split", "n"),
        shares=figures.SHARES,
        differences=figures.around([row[end] for row in compared for end in ("low", "high")]),
        funnel=stations(page.figures["funnel"]),
        yields=page.figures["yield"],
        calibration=calibration,
        calibration_plot=figures.calibration(
            [(row["mean_value"], row["mean_outcome"], row["stderr"], row["steps"]) for row in calibration]
        ),
        gaps=gap_plots(page.figures["gaps"]),
        gaps_by_depth=page.figures["gaps_by_depth"],
        effects=page.figures["effects"],
        curves={model: figures.curve(points) for model, points in page.curves.items()},
        stages=page.stages,
        lineage_plot=lineage.lineage(page.stages),
        asked=len(page.asked),
        shown=len(page.explorer.questions),
        index=packed(json.dumps(page.explorer.questions, allow_nan=False, separators=(",", ":"))),
        blocks=page.explorer.blocks,
    )


def templates() -> Environment:
    """The templates of pages, in which everything that is put in is escaped."""
    env = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    env.filters |= {"signed": signed, "percent": percent, "duration": duration, "loss": loss, "named": named}
    env.globals |= {name: getattr(figures, name) for name in ("axis", "interval", "bar", "parts")}
    return env


def content_policy(style: str, script: str = "") -> str:
    """Nothing is loaded, sent or run but this style and this script, which are named by digest."""
    named = {"style-src": style, "script-src": script}
    allowed = (
        f"{kind} 'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'; "
        for kind, text in named.items()
        if text
    )
    return f"default-src 'none'; {''.join(allowed)}img-src data:; base-uri 'none'; form-action 'none'"


def as_asked(query: str, campaign: str, round: int) -> str:
    """The query with the round that it was asked of, as `cpl sql` takes it."""
    return query.replace("$campaign", f"'{campaign}'").replace("$round", str(round))


def grouped(rows: Sequence[Row], *by: str) -> list[tuple[tuple[Any, ...], list[Row]]]:
    """Rows that are alike in some fields, in the order in which these come."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in by), []).append(row)
    return list(found.items())


def stations(rows: Sequence[Row]) -> list[Row]:
    """The funnel's rows by station and name, with their sum."""
    return [
        {
            "unit": own[0]["unit"],
            "name": own[0]["name"],
            "total": sum(row["n"] for row in own),
            "counts": [(row["n"], row["is_kept"]) for row in own],
            "rows": own,
        }
        for _, own in grouped(rows, "station", "name")
    ]


def gap_plots(rows: Sequence[Row]) -> list[Row]:
    """A histogram a lesson and kind, all on one scale."""
    scale = figures.around([row["gap_from"] + 0.1 for row in rows])
    return [
        {
            "lesson": lesson,
            "kind": kind,
            "total": sum(row["pairs"] for row in own),
            "plot": figures.histogram([(row["gap_from"], row["pairs"]) for row in own], 0.1, scale),
        }
        for (lesson, kind), own in grouped(rows, "lesson", "kind")
    ]


def signed(number: float, decimals: int = 3) -> str:
    return f"{number:+.{decimals}f}".replace("-", "−")


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}".replace("%", " %")


def duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.1f} hours" if hours >= 2 else f"{minutes:.1f} minutes" if minutes >= 2 else f"{seconds:.0f} s"


def loss(text: str | None) -> str:
    """The weights of a loss's terms, which the table keeps as JSON."""
    terms = json.loads(text) if text else {}
    return " + ".join(term if weight == 1 else f"{weight:g} {term}" for term, weight in terms.items())


def named(sentence: str) -> Markup:
    """A sentence whose names stand in backticks."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(sentence))))

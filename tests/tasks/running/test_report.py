"""The page that a round leaves in the UI, and the picture in it."""

import base64
import re
from typing import Any
from xml.etree import ElementTree

from tasks.running.report import report, scores_svg


def score(model: str, benchmark: str, accuracy: float, low: float, high: float) -> dict[str, Any]:
    bounds = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high, "stderr": 0.05}
    asked = {"benchmark": benchmark, "split": "in_domain", "form": "plan", "metric": "answer", "shots": 0}
    counts: dict[str, Any] = {"n": 100, "clusters": 100, "equal_clusters": 100.0} | dict.fromkeys(
        ("truncated", "unparsable", "undecided", "lost"), 0
    )
    counts |= {"generated_tokens": 80.0}
    return {"model": model, "kind": "all"} | asked | counts | bounds


SCORES = [
    score("base", "micro/test", 0.25, 0.2, 0.3),
    score("sft", "micro/test", 0.75, 0.7, 0.8),
    score("base", "<script>", 0.0, 0.0, 0.04),
]
SUMMARY: dict[str, Any] = {
    "campaign": "mine",
    "round": 2,
    "state": "completed",
    "recipe": "cpl-micro",
    "model": "micro",
    "seconds": 12.5,
    "stages": [{"stage": "search", "seconds": 3.0, "cached": False}],
    "counts": {"preferences": 1234},
    "models": [
        {"model": "base", "same_as": None, "uri": "s3://cpl/a"},
        {"model": "sft", "same_as": None, "uri": "s3://cpl/b"},
    ],
    "evaluations": SCORES,
    "by_kind": [],
    "comparisons": [],
    "curves": [],
    "value_rankings": [],
    "engine": [],
    "notes": ["Two | rows <b>were</b>\nleft out."],
    "error": None,
}


def test_the_page_begins_with_the_notes_and_tells_scores_counts_and_places() -> None:
    page = report(SUMMARY)
    assert page.startswith("# Round 2 of mine: completed in 12.5 s (cpl-micro, micro)")
    order = [
        page.index(text)
        for text in ("Two \\| rows", "data:image/svg", "| micro/test |", "| preferences | 1,234 |", "s3://cpl/b")
    ]
    assert order == sorted(order)
    assert "--campaign mine --round 2" in page


def test_words_of_others_are_no_markup() -> None:
    page = report(SUMMARY)
    assert "<b>" not in page
    assert "<script>" not in page
    assert "rows &lt;b&gt;were&lt;/b&gt; left out." in page


def test_nowhere_on_the_page_do_words_of_others_make_a_tag_a_link_or_a_picture() -> None:
    hostile = "<img src=x onerror=steal()> [press](javascript:steal()) ![](http://evil.example/seen) `"
    models = [{"model": hostile, "same_as": None, "uri": "s3://`<b>`"}]
    page = report(SUMMARY | {"model": hostile, "recipe": hostile, "models": models, "notes": [hostile]})
    assert "<img" not in page
    assert "<b>" not in page
    assert page.count("javascript") == page.count("\\[press\\](javascript") == 4
    assert "![](" not in page


def test_the_picture_places_every_score_and_its_interval_on_one_scale() -> None:
    svg = scores_svg(SCORES)
    shapes = ElementTree.fromstring(svg)
    dots = [float(dot.get("cx", "")) for dot in shapes.iterfind(".//{*}circle")]
    bars = [
        (float(bar.get("x1", "")), float(bar.get("x2", "")))
        for bar in shapes.iterfind(".//{*}line")
        if bar.get("stroke-width")
    ]
    zero, one = dots[2], dots[2] + (dots[1] - dots[0]) * 2
    assert dots[:2] == [zero + 0.25 * (one - zero), zero + 0.75 * (one - zero)]
    for (low, high), row in zip(bars, SCORES, strict=True):
        assert abs(low - (zero + row["accuracy_low"] * (one - zero))) < 0.2
        assert abs(high - (zero + row["accuracy_high"] * (one - zero))) < 0.2
    assert len({dot.get("fill") for dot in shapes.iterfind(".//{*}circle")}) == 2, "a model has one colour"


def test_the_picture_on_the_page_is_that_picture() -> None:
    (data,) = re.findall(r"base64,([A-Za-z0-9+/=]+)", report(SUMMARY))
    assert base64.b64decode(data).decode() == scores_svg(SCORES)

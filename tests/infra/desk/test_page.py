"""The page of a round: what it says and draws, and what it keeps of the trees."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from infra.desk.page import figures
from infra.desk.page.document import document
from infra.desk.page.explorer import BLOCK, explorer, packed
from infra.desk.page.figures import Scale, around
from infra.desk.page.lineage import Made, columns, lineage, shortest
from infra.desk.page.reading import RoundPage, page_of
from infra.desk.page.verdict import verdict
from infra.desk.published import round_tables
from infra.desk.summary import publication, summarise
from infra.warehouse import SQL, ask, build
from tests.sql.conftest import warehouse
from tests.sql.handmade import ROUND, parquet

__all__ = ["warehouse"]

Row = dict[str, Any]
STAGES = [Made("questions", "1 s", frozenset(), False), Made("trees", "2 s", frozenset({"questions"}), True)]


def read(warehouse: Path) -> RoundPage:
    """The page of the hand-made round."""
    of = {"recipe": "cpl-micro", "model": "micro", "state": "completed", "notes": []}
    told = publication(of, "run-1", {"trees": (60.0, "run-1")})
    summary = summarise("demo", 1, None, told, round_tables(warehouse, "demo", 1))
    return page_of(warehouse, summary, {"sft": [(1.0, 2.0), (2.0, 1.5), (3.0, 1.0)]}, STAGES)


@pytest.fixture(scope="module")
def page(warehouse: Path) -> RoundPage:
    return read(warehouse)


def unpacked(block: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(block)))


def test_the_page_asks_for_nothing_and_lets_nothing_run_but_its_own_script(page: RoundPage) -> None:
    html = document(page)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        [text] = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", html)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy.replace("&#39;", "'")
    assert policy.startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|action)="', html) == []
    assert {address[:5] for address in re.findall(r'href="([^"]*)"', html) if address[0] != "#"} == {"data:"}
    assert ' style="' not in html, "the policy forbids it"


def test_names_of_others_are_no_markup(page: RoundPage) -> None:
    hostile = "<img src=x onerror=steal()>"
    html = document(replace(page, summary=page.summary | {"model": hostile, "recipe": hostile, "notes": [hostile]}))
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=steal()&gt;") == 3


def test_every_query_on_the_page_can_be_asked_again(page: RoundPage, warehouse: Path) -> None:
    shown = re.findall(r"(?s)<summary>Query: <code>(\w+)</code></summary>\s*<pre><code>(.*?)</code>", document(page))
    assert len(shown) > 10
    assert page.figures.keys() <= dict(shown).keys() | {"round"}
    for _, query in shown:
        assert "$campaign" not in query
        assert "$round" not in query
    assert ask(warehouse, unescape(dict(shown)["funnel"])).records() == page.figures["funnel"]


def test_the_funnel_says_how_many_go_on_and_why_others_do_not(page: RoundPage) -> None:
    found = {(row["unit"], row["name"], row["part"]): row["n"] for row in page.figures["funnel"]}
    assert found == {
        ("questions", None, "to learn from"): 2,
        ("questions", None, "held out, to rank V"): 1,
        ("rollouts", "tries", "right"): 3,
        ("rollouts", "tries", "wrong"): 1,
        ("rollouts", "tries", "gave the answer away"): 1,
        ("trees", "trees", "give pairs"): 1,
        ("trees", "trees", "held out, to rank V"): 1,
        ("trees", "trees", "not searched: solved without"): 1,
        ("pairs", "steps", "plan"): 1,
        ("pairs", "steps", "solution"): 1,
        ("paths", "paths", "imitated"): 2,
        ("paths", "paths", "for their values alone"): 2,
    }


def test_v_is_held_against_the_ends_below_with_errors_by_question(page: RoundPage) -> None:
    """V of .5: t1/1 (ends right and wrong: 0) and t2/1 (right: 1). V of -.5: t1/2 (-1). Not of t4 and t5, whose search
    backs no V up."""
    low, high = page.figures["calibration"]
    assert (low["mean_value"], low["mean_outcome"], low["steps"], low["stderr"]) == (-0.5, -1.0, 1, None)
    assert (high["mean_value"], high["mean_outcome"], high["steps"]) == (0.5, 0.5, 2)
    assert high["stderr"] == pytest.approx((0.5**2 + 0.5**2) ** 0.5 / 2)


def test_what_training_did_to_the_pairs_is_told_by_model_and_kind(page: RoundPage) -> None:
    """Of the plan the rejected side fell by more than the chosen one, and the order was put right; of the solution the
    rejected side gained more, and is before the chosen one since."""
    told = (
        "kind",
        "pairs",
        "chosen_change",
        "rejected_change",
        "widened",
        "chosen_fell",
        "right_before",
        "right_after",
    )
    assert [tuple(row[name] for name in told) for row in page.figures["effects"]] == [
        ("plan", 1, -1.0, -4.0, 1.0, 1.0, 0.0, 1.0),
        ("solution", 1, 0.5, 1.25, 0.0, 0.0, 1.0, 0.0),
    ]


def test_changes_of_several_pairs_are_means(tmp_path: Path) -> None:
    again = [row | {"kind": "plan", "lesson": "others"} for row in ROUND["pair_effects"]]
    build(tmp_path / "round.duckdb", parquet(tmp_path, ROUND | {"pair_effects": ROUND["pair_effects"][:1] + again}))
    told = "select pairs, chosen_change, rejected_change, round(widened, 3), round(right_after, 3) from told"
    effects = (SQL / "page" / "effects.sql").read_text()
    given = {"campaign": "demo", "round": 1}
    [row] = ask(tmp_path / "round.duckdb", f"with told as ({effects}) {told}", given).rows
    assert row == (3, -0.5, pytest.approx(-6.75 / 3), 0.667, 0.667)


def test_a_question_opens_to_its_trees_and_pairs(page: RoundPage) -> None:
    rows = {row["id"]: row for row in page.explorer.questions}
    assert rows.keys() == {"q1", "q2", "q3"}
    assert (rows["q1"]["solved"], rows["q1"]["pairs"], rows["q1"]["widest"], rows["q1"]["nodes"]) == (True, 2, 1.0, 8)
    details = unpacked(page.explorer.blocks[rows["q1"]["block"]])[rows["q1"]["place"]]
    assert [tree["name"] for tree in details["trees"]] == ["t1", "t4"]
    assert details["trees"][0]["parent"] == [-1, 0, 0, 1, 1, 2, 2, 0]
    assert details["trees"][0]["q"][:3] == [-0.286, 0.167, -0.833]
    [first, second] = details["pairs"]
    assert (first["tree"], first["parent"], first["chosen"], first["rejected"], first["gap"]) == (0, 0, 1, 2, 1.0)
    assert (second["kind"], second["chosen"], second["rejected"], second["gap"]) == ("solution", 3, 4, 0.6)


def test_what_does_not_fit_is_left_out_from_the_end_of_the_draw() -> None:
    noise = [hashlib.sha256(str(number).encode()).hexdigest() * (BLOCK // 64) for number in range(6)]
    asked = [
        {"question_id": f"q{number}", "question": "?", "kinds": [], "level": 1, "is_solved": True, "nodes": 1}
        | {"is_held_out": False, "pass_rate": None, "pairs": 0, "widest": None}
        for number in range(6)
    ]

    def details(batch: Sequence[Row]) -> Iterator[Row]:
        yield from ({"text": noise[int(row["question_id"][1])]} for row in batch)

    size = len(packed(json.dumps([{"text": noise[0]}], separators=(",", ":"))))
    kept = explorer(asked, details, room=int(3.5 * size))
    assert [(row["id"], row["block"]) for row in kept.questions] == [("q0", 0), ("q1", 1), ("q2", 2)]
    assert [unpacked(block)[0]["text"] == text for block, text in zip(kept.blocks, noise, strict=False)] == [True] * 3
    assert len(explorer(asked, details).questions) == 6


ASKED = {"benchmark": "micro/test", "form": "plan", "metric": "answer", "shots": 0}
COMPARED = ASKED | {"n": 300, "model": "step_apo", "other_round": None, "stderr": 0.01}


def test_the_verdict_says_what_can_be_told_and_what_cannot() -> None:
    models = [
        {"model": "base", "is_next": False, "same_as": None, "is_policy": True},
        {"model": "value", "is_next": False, "same_as": None, "is_policy": False},
        {"model": "sft", "is_next": False, "same_as": None, "is_policy": True},
        {"model": "step_apo", "is_next": True, "same_as": None, "is_policy": True},
    ]
    score = ASKED | {"model": "step_apo", "split": "in_domain", "accuracy": 0.8, "n": 300}
    harness = score | {"form": "standard", "metric": "acc", "shots": 5, "n": 900}
    compared = [
        COMPARED | {"other": "base", "difference": 0.5, "verdict": "better"},
        COMPARED | {"other": "sft_more", "difference": -0.04, "verdict": "worse"},
        COMPARED | {"other": "sft", "difference": 0.01, "verdict": "cannot be told with n = 300"},
        COMPARED | {"other": "sft", "other_round": 1, "difference": 0.02, "verdict": "cannot be told with n = 300"},
        COMPARED | {"other": "base", "other_round": 1, "difference": 0.1, "verdict": "asked otherwise"},
        COMPARED | {"other": "base", "form": "standard", "difference": -0.2, "verdict": "worse"},
    ]
    asked = [{"is_solved": True}, {"is_solved": False}]
    searches = [
        {"generated_tokens": 900, "learning_tokens": 600, "pairs": 3},
        {"generated_tokens": 100, "learning_tokens": 100, "pairs": 0},
    ]
    ranking = {"model": "value", "kind": "plan", "sibling_auc": 0.8, "sibling_auc_stderr": 0.05, "sibling_pairs": 40}
    said = verdict(models, [harness, score], compared, asked, searches, [ranking | {"prior_auc": 0.51}])
    assert said == (
        "`step_apo` answers 80.0 % of micro/test right (n = 300): 50.0 ± 1.0 points better than `base`, 4.0 ± 1.0 "
        "points worse than `sft_more` and not to be told from `sft` and `sft` of round 1 at this n.",
        "Search found a right answer to 1 of 2 questions with 1,000 generated tokens, and 3 preferences at 200 tokens "
        "each.",
        "V of `value` puts the better of two sibling steps first in 80.0 ± 5.0 % of 40 held-out pairs (chance: 50 %; "
        "the policy's prior, in 51.0 %).",
    )
    for verdicts, ending in (
        (
            ["the same weights", "cannot be told with n = 300"],
            ": of the same weights as `m0` and not to be told from `m1` at",
        ),
        (["asked otherwise"] * 2, "; no comparison says more: asked otherwise was `m0` and `m1`."),
        ([], "; nothing was compared with it."),
    ):
        rows = [COMPARED | {"other": f"m{n}", "difference": 0.1, "verdict": one} for n, one in enumerate(verdicts)]
        assert f"right (n = 300){ending}" in verdict(models, [score], rows, [], [], [])[0]
    better = ranking | {"model": "sft", "sibling_auc": 0.99, "prior_auc": 0.5}
    told = verdict(models, [], [], [], [], [better, ranking | {"prior_auc": 0.51}])[2]
    assert told.startswith("V of `value`"), "it judges the next round, whichever did best"
    unsure = ranking | {"sibling_auc": 0.55, "prior_auc": 0.5}
    assert verdict(models, [], [], [], [], [unsure])[2].endswith("which cannot be told from chance.")
    assert "is not known" in verdict(models, [], [], [], [], [])[2]


def test_a_scale_has_round_ends_and_ticks() -> None:
    assert around([0.03, 0.47]) == Scale(0.0, 0.5)
    assert around([-0.08, 0.6]) == Scale(-0.1, 0.6)
    assert around([]) == Scale(0.0, 1.0)
    assert Scale(0.0, 1.0).ticks() == [0.0, 0.5, 1.0]
    assert Scale(-1.0, 1.0).ticks() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert Scale(1.0, 30.0).ticks(3) == [10.0, 20.0, 30.0]
    assert Scale(2.0, 2.0).at(2.0) == "0.00%"


def test_intervals_and_dots_stand_where_their_numbers_are() -> None:
    svg = ElementTree.fromstring(str(figures.interval(Scale(-1.0, 1.0), 0.5, 0.0, 2.0)))
    [error] = [line for line in svg.iter("line") if line.get("class") == "error"]
    assert (error.get("x1"), error.get("x2")) == ("50.00%", "100.00%"), "cut where the scale ends"
    [dot] = svg.iter("circle")
    assert dot.get("cx") == "75.00%"
    two = ElementTree.fromstring(str(figures.parts([(3, True), (1, False)])))
    assert [(part.get("class"), part.get("x"), part.get("width")) for part in two] == [
        ("kept n0", "0.000%", "75.000%"),
        ("lost n1", "75.000%", "25.000%"),
    ]


def test_a_running_mean_is_that_of_the_neighbours() -> None:
    points = [(float(x), float(x % 2)) for x in range(20)]
    assert figures.running_mean(points, share=0.1)[:3] == [(0.0, 0.5), (1.0, 1 / 3), (2.0, 2 / 3)]
    assert figures.running_mean(points[:3]) == points[:3]


def test_lineage_puts_a_stage_behind_all_that_it_is_made_of_and_draws_no_line_twice() -> None:
    of = {"d": {"a", "b", "c"}, "a": set(), "b": {"a"}, "c": {"a"}}
    assert columns(of) == [["a"], ["b", "c"], ["d"]]
    assert shortest(of) == {"d": {"b", "c"}, "a": set(), "b": {"a"}, "c": {"a"}}
    svg = ElementTree.fromstring(
        str(lineage([Made(name, "<1 s", frozenset(ones), False) for name, ones in of.items()]))
    )
    assert len(list(svg.iter("path"))) == 4
    assert {text.text for text in svg.iter("text")} == {"a", "b", "c", "d", "<1 s"}
    with pytest.raises(ValueError, match="circle"):
        columns({"a": {"b"}, "b": {"a"}})

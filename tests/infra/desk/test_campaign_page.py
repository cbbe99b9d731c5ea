"""The page of a campaign: curves over its rounds, with the numbers and the queries behind them."""

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from infra.desk.page import figures
from infra.desk.page.campaign import CampaignPage, asked_alike, campaign_document, campaign_of, verdict
from infra.warehouse import ask, build
from tests.sql.handmade import ROUND, parquet

SCORED = {"benchmark": "micro/test", "asked": "micro/test", "split": "in_domain", "form": "plan", "n": 300}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hand-made round three times, in the third without what it scored."""
    folder = tmp_path_factory.mktemp("campaign")
    unscored = ROUND | {"evaluations": [], "value_rankings": []}
    rounds = [parquet(folder, ROUND, 1), parquet(folder, ROUND, 2), parquet(folder, unscored, 3)]
    build(folder / "factory.duckdb", {table: [one for of in rounds for one in of[table]] for table in ROUND})
    return folder / "factory.duckdb"


@pytest.fixture(scope="module")
def page(warehouse: Path) -> CampaignPage:
    return campaign_of(warehouse, "demo")


def test_it_has_every_round_and_draws_what_is_known_of_it(page: CampaignPage) -> None:
    scores = [(row["model"], row["round"], row["accuracy"]) for row in page.figures["scores"]]
    assert scores == [(model, number, of) for model, of in (("base", 0.5), ("step_apo", 1.0)) for number in (1, 2)]
    assert [(row["round"], row["seconds"], row["generated_tokens"]) for row in page.figures["cost"]] == [
        (number, 60.0, 120) for number in (1, 2, 3)
    ]
    trees = [row for row in page.figures["yield"] if row["evidence"] == "trees"]
    assert [(row["round"], row["pairs"], row["generated_tokens"], row["tokens_per_pair"]) for row in trees] == [
        (number, 2, 120, 40.0) for number in (1, 2, 3)
    ]
    assert [(row["kind"], row["round"]) for row in page.figures["values"]] == [("solution", 1), ("solution", 2)]
    html = campaign_document(page)
    assert html.count("the policy that searches next, round ") == 2
    assert "V, round 2: 0.7" in html
    assert "0.500 [0.250, 0.750]" in html


def test_rounds_that_asked_by_other_settings_have_a_curve_of_their_own(page: CampaignPage) -> None:
    """A round that votes beside one that answers greedily: two curves; where all ask alike, the name is enough."""
    voted = [row | {"way": "a" * 64 if row["round"] == 2 else row["way"]} for row in page.figures["scores"]]
    html = campaign_document(replace(page, figures=page.figures | {"scores": voted}))
    assert html.count(" by aaaaaaa") >= 1
    assert html.count("the policy that searches next, round ") == 2
    assert {row["asked"] for row in asked_alike(page.figures["scores"])} == {"micro/test"}
    assert "the policy of round 1" not in verdict(asked_alike(voted), page.figures["cost"])
    assert "the policy of round 1" in verdict(asked_alike(page.figures["scores"]), page.figures["cost"])


def test_it_asks_for_nothing_and_nothing_runs_on_it(page: CampaignPage) -> None:
    html = campaign_document(page)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    [style] = re.findall(r"(?s)<style>(.*?)</style>", html)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert unescape(policy).startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:")
    assert "script-src" not in policy
    assert "<script" not in html
    assert ' style="' not in html, "the policy forbids it"
    assert {address[:5] for address in re.findall(r'href="([^"]*)"', html) if address[0] != "#"} == {"data:"}


def test_names_of_others_are_no_markup(page: CampaignPage) -> None:
    hostile = "<img src=x onerror=steal()>"
    cost = [row | {"recipe": hostile, "code": hostile} for row in page.figures["cost"]]
    scores = [row | {"model": hostile, "benchmark": hostile} for row in page.figures["scores"]]
    html = campaign_document(replace(page, figures=page.figures | {"cost": cost, "scores": scores}))
    assert "<img" not in html
    assert "&lt;img src=x onerror=steal()&gt;" in html


def test_every_query_on_it_can_be_asked_again(page: CampaignPage, warehouse: Path) -> None:
    shown = dict(
        re.findall(
            r"(?s)<summary>Query: <code>(\w+)</code></summary>\s*<pre><code>(.*?)</code>", campaign_document(page)
        )
    )
    assert shown.keys() == page.figures.keys()
    for name, query in shown.items():
        assert ask(warehouse, unescape(query)).records() == page.figures[name]


def test_a_campaign_that_scored_and_searched_nothing_has_a_page(page: CampaignPage) -> None:
    html = campaign_document(replace(page, figures=page.figures | {"scores": [], "yield": [], "values": []}))
    for told in ("No model was scored.", "Nothing was searched.", "Not known: no held-out tree"):
        assert told in html


def test_the_verdict_sets_the_last_policy_beside_the_base_and_the_first() -> None:
    def row(model: str, number: int, right: float, is_next: bool) -> dict[str, object]:
        about = {"model": model, "round": number, "accuracy": right, "is_next": is_next}
        return SCORED | about | {"accuracy_low": right - 0.1, "accuracy_high": right + 0.1}

    scores = [
        row("base", 1, 0.3, False),
        row("base", 2, 0.3, False),
        row("sft", 1, 0.5, True),
        row("sft", 2, 0.7, True),
    ]
    assert verdict(scores, [{}, {}]) == (
        "2 rounds; `sft` of the last one scored answers 70.0 [60.0, 80.0] % of micro/test right (n = 300, 95 % "
        "interval), the base 30.0 [20.0, 40.0] %, the policy of round 1 50.0 [40.0, 60.0] %."
    )
    assert verdict(scores[:2], [{}]) == "1 round; none of them scored a policy that searches next."


def test_a_curve_has_a_dot_a_round_and_lines_between_neighbours() -> None:
    points = [(1, 0.2, 0.1, 0.3), (2, 0.4, 0.3, 0.5), (4, 0.5, 0.4, 0.6)]
    drawn = figures.over_rounds([("scores", "strong", points)], figures.SHARES, zero=0.5)
    assert re.findall(r'circle class="dot strong" cx="([\d.]+)%" cy="([\d.]+)%"', drawn) == [
        ("12.50", "80.00"),
        ("37.50", "60.00"),
        ("87.50", "50.00"),
    ]
    assert drawn.count('class="path strong"') == 2
    assert drawn.count('class="error strong"') == 3
    assert drawn.count('class="zero"') == 1

"""The page of a campaign: how scores, searches, costs and V go from round to round."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from infra.desk.page import figures
from infra.desk.page.document import HERE, as_asked, content_policy, grouped, templates
from infra.desk.page.figures import Point, Scale
from infra.desk.published import warehouse_of
from infra.desk.summary import Row, asked_as
from infra.store import Store, rounds
from infra.warehouse import ask, statements

LIKELY = 1.96


@dataclass(frozen=True)
class CampaignPage:
    """All that the page says: rows of the queries of sql/campaign, and their texts, by name."""

    campaign: str
    figures: dict[str, list[Row]]
    queries: dict[str, str]


def read_campaign(store: Store, campaign: str) -> CampaignPage:
    """The page of a campaign up to its latest round. Raises NoSuchRound, where none of it is published."""
    return campaign_of(warehouse_of(store, rounds.published(store, campaign)), campaign)


def campaign_of(warehouse: Path | Sequence[Path], campaign: str) -> CampaignPage:
    """The page of a campaign, as far as its warehouse knows it."""
    queries = {file.stem: file.read_text() for file in statements("campaign")}
    found = {name: ask(warehouse, query, {"campaign": campaign}).records() for name, query in queries.items()}
    return CampaignPage(campaign, found, queries)


def campaign_document(page: CampaignPage) -> str:
    """The whole page: it has no script, and asks for nothing."""
    style = (HERE / "page.css").read_text()
    scores = asked_alike(page.figures["scores"])
    searches, cost, values = (page.figures[name] for name in ("yield", "cost", "values"))
    return (
        templates()
        .get_template("campaign.html")
        .render(
            policy=content_policy(style),
            style=Markup(style),
            queries={name: as_asked(text, page.campaign, 0) for name, text in page.queries.items()},
            campaign=page.campaign,
            verdict=verdict(scores, cost),
            numbers=[row["round"] for row in cost],
            scores=[
                (asked, split, score_plot(rows), by_model(rows))
                for (asked, split), rows in grouped(scores, "asked", "split")
            ],
            yields=[(name, *yield_plots(rows), rows) for (name,), rows in grouped(searches, "evidence")],
            cost=cost,
            cost_plots={
                "seconds of all stages": amounts(cost, "seconds"),
                "tokens that engines generated": amounts(cost, "generated_tokens"),
            },
            values=[(model, kind, value_plot(rows), rows) for (kind, model), rows in grouped(values, "kind", "model")],
        )
    )


def asked_alike(scores: Sequence[Row]) -> list[Row]:
    """The scores, each with `asked`: what was asked, and by which settings, where rounds asked it by several. What has
    the same name can be compared."""
    ways = {(asked_as(row), row["way"]) for row in scores}
    several = {asked for asked, count in Counter(asked for asked, _ in ways).items() if count > 1}
    return [
        row | {"asked": f"{asked} by {row['way'][:7]}" if asked in several else asked}
        for row in scores
        for asked in [asked_as(row)]
    ]


def verdict(scores: Sequence[Row], cost: Sequence[Row]) -> str:
    """What the campaign came to, in a sentence: its last policy beside the base, on what most was asked of it."""
    policies = [row for row in scores if row["is_next"]]
    told = f"{len(cost)} round{'s' * (len(cost) > 1)}"
    if not policies:
        return f"{told}; none of them scored a policy that searches next."
    last = max(policies, key=lambda row: (row["round"], row["split"] == "in_domain", row["form"] == "plan", row["n"]))
    same = [row for row in scores if row["asked"] == last["asked"]]
    others = [row for row in same if row["model"] == "base" and row["round"] == last["round"] and row != last]
    firsts = [row for row in same if row["is_next"] and row["round"] < last["round"]][:1]
    told += f"; `{last['model']}` of the last one scored answers {_share(last)} of {last['asked']} right"
    phrases = [f"the base {_share(row)}" for row in others]
    phrases += [f"the policy of round {row['round']} {_share(row)}" for row in firsts]
    return f"{told} (n = {last['n']:,}, 95 % interval)" + "".join(f", {one}" for one in phrases) + "."


def _share(row: Row) -> str:
    return f"{100 * row['accuracy']:.1f} [{100 * row['accuracy_low']:.1f}, {100 * row['accuracy_high']:.1f}] %"


def score_plot(rows: Sequence[Row]) -> Markup:
    """The policy that searches next, and the base."""

    def points(kept: Sequence[Row]) -> list[Point]:
        return [(row["round"], row["accuracy"], row["accuracy_low"], row["accuracy_high"]) for row in kept]

    base = points([row for row in rows if row["model"] == "base"])
    policy = sorted(points([row for row in rows if row["is_next"]]))
    lines = [("base", "earlier", base), ("the policy that searches next", "strong", policy)]
    return figures.over_rounds([line for line in lines if line[2]], figures.SHARES)


def by_model(rows: Sequence[Row]) -> list[tuple[str, dict[int, Row]]]:
    """Each model's scores, by round."""
    return [(model, {row["round"]: row for row in own}) for (model,), own in grouped(rows, "model")]


def yield_plots(rows: Sequence[Row]) -> tuple[Markup, Markup | None]:
    """The share of questions that a search solved; and what a preference cost in tokens, where it gave any."""
    solved = [
        (row["round"], share, share, share) for row in rows for share in [row["solved"] / (row["questions"] or 1)]
    ]
    share = figures.over_rounds([("solved", "strong", solved)], figures.SHARES)
    paid = [row for row in rows if row["tokens_per_pair"] is not None]
    return share, amounts(paid, "tokens_per_pair") if paid else None


def amounts(rows: Sequence[Row], name: str) -> Markup:
    """A number of each round, which is known without error."""
    points = [(row["round"], float(row[name]), float(row[name]), float(row[name])) for row in rows]
    return figures.over_rounds([(name.replace("_", " "), "strong", points)], figures.around([y for _, y, *_ in points]))


def value_plot(rows: Sequence[Row]) -> Markup:
    """How often V puts the better sibling first, beside the policy's prior."""
    own: list[Point] = []
    for row in rows:
        auc, half = row["sibling_auc"], LIKELY * (row["sibling_auc_stderr"] or 0.0)
        own.append((row["round"], auc, max(0.0, auc - half), min(1.0, auc + half)))
    prior = [(row["round"], *[row["prior_auc"]] * 3) for row in rows if row["prior_auc"] is not None]
    lines = [("prior", "earlier", prior), ("V", "strong", own)]
    return figures.over_rounds([line for line in lines if line[2]], Scale(0.0, 1.0), zero=0.5)

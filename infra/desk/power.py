"""`cpl power`: how many questions a benchmark needs, so that two models are told apart by so many points.

It depends on how many questions one of the two alone has right, and on how many benchmarks the two are judged at once.
A campaign that has a round knows this of its models; before that it is assumed.
"""

from bisect import bisect_left
from collections.abc import Iterator
from statistics import NormalDist, median
from typing import Annotated

import typer

from infra.desk.display import plain_errors, print_json, print_sections
from infra.desk.published import published, warehouse_of
from infra.desk.summary import Row, Section, asked_as
from infra.environment import environment
from infra.store import Store
from infra.store.rounds import NoSuchRound
from infra.warehouse import ask

TOLD = NormalDist().inv_cdf(0.8)
AT_ONCE = 4
"""Benchmarks that two models are judged on at once, for who has no round: as many as micro has."""
ASSUMED = (0.05, 0.1, 0.2, 0.4)
"""Shares of questions on which two models differ, for who has no round: two arms of one recipe to unlike models."""

DIFFERING = """
select
    benchmark,
    form,
    metric,
    shots,
    n,
    'base' in (model, other) as has_base,
    stderr ** 2 * n + difference ** 2 as differing,
from model_comparisons
where (campaign, round, other_round) = ($campaign, $round, $round) and model < other and verdict <> 'the same weights'
order by split, benchmark, form, metric
"""


def power(
    points: Annotated[float, typer.Option(help="Difference in accuracy to be seen, in points.", min=0.1, max=50)] = 2.0,
    round: Annotated[int | None, typer.Option(help="Round whose models tell. Default: the campaign's latest.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Default: that whose round completed last.")] = None,
    comparisons: Annotated[
        int | None, typer.Option(help="Benchmarks that are judged at once (Holm). Default: the round's.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how many questions show a difference of so many points, in four of five tries (McNemar's exact test, 95 %).

    By how often the models of a round differ, the median of its trained ones; without a round, by stated assumptions.
    """
    with plain_errors():
        store = Store.open(environment())
        try:
            found = published(store, campaign, round)
        except NoSuchRound:
            if campaign is not None:
                raise
            measured = []
        else:
            of_round = {"campaign": found.campaign, "round": found.round}
            measured = ask(warehouse_of(store, found), DIFFERING, of_round).records()
    at_once = comparisons or len({asked_as(row) for row in measured}) or AT_ONCE
    rows = list(benchmarks(measured, points / 100, at_once) if measured else assumed(points / 100, at_once))
    if as_json:
        print_json(rows)
        return
    whose = f"By the models of {found.campaign}/{found.round}" if measured else "Assumed, for there is no round yet"
    typer.echo(f"{whose}: questions that show a difference of {points:g} points in four of five tries")
    typer.echo(f"As one of {at_once} comparisons that are judged at once (Holm); --comparisons says of how many")
    print_sections([Section("", *power_grid(rows))])


def needed(difference: float, differing: float, comparisons: int = 1) -> int:
    """Questions of which McNemar's exact test tells a `difference` in (0, 1) four times of five, though it is one of so
    many `comparisons`, so that Holm may ask for a p-value of 0.05 by their number.

        n difference >= z sqrt(n d) + 1 + z_.8 s
        s^2 = n (d - difference^2) - z difference (1 - d) sqrt(n / d) + z^2 (1 - d) / 4

    d, `differing`: the share of questions that one of the models alone has right, which is at least the difference;
    with clusters, as many times that as they inflate the variance. Connor's (1987), with the half step of an exact test
    and, in s, that the number of questions that differ goes up and down with what they sum to: the column
    `detectable` of model_comparisons, the other way round.
    """
    d = max(differing, difference)
    z = NormalDist().inv_cdf(1 - 0.025 / comparisons)

    def is_told(n: int) -> bool:
        together = z * difference * (1 - d) * (n / d) ** 0.5 - z**2 * (1 - d) / 4
        spread = max(n * (d - difference**2) - together, 0) ** 0.5
        return n * difference >= z * (n * d) ** 0.5 + 1 + TOLD * spread

    return 1 + bisect_left(range(1, 10**9), True, key=is_told)


def assumed(difference: float, comparisons: int) -> Iterator[Row]:
    """What is needed if models differ as little, or as much, as in `ASSUMED`."""
    for differing in ASSUMED:
        if differing >= difference:
            yield _row("any", None, differing, difference, comparisons)


def benchmarks(measured: list[Row], difference: float, comparisons: int) -> Iterator[Row]:
    """What each benchmark needs, by the median of the pairs of trained models: base differs from all by more points
    than anybody would need many questions for. Only where nothing else was compared it is asked, too."""
    trained = [row for row in measured if not row["has_base"]] or measured
    for name in dict.fromkeys(map(asked_as, trained)):
        own = [row for row in trained if asked_as(row) == name]
        differing, n = median(row["differing"] for row in own), max(row["n"] for row in own)
        yield _row(name, n, differing, difference, comparisons)


def _row(asked: str, n: int | None, differing: float, difference: float, comparisons: int) -> Row:
    told = needed(difference, differing, comparisons)
    return {"asked": asked, "n": n, "differing": differing, "comparisons": comparisons, "needed": told}


def power_grid(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: what a benchmark asks now, how often models differ there, and what it would have to ask."""
    return ["benchmark", "asked now", "answers differ", "questions needed"], [
        [row["asked"], "" if row["n"] is None else f"{row['n']:,}", f"{row['differing']:.1%}", f"{row['needed']:,}"]
        for row in rows
    ]

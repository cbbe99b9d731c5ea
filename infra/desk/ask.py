"""`cpl sql`, `cpl show`, `cpl rounds` and `cpl remove`: the published rounds, from a shell."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from infra.desk.display import (
    ROWS_SHOWN,
    plain_errors,
    print_answer,
    print_csv,
    print_json,
    print_listing,
    print_records,
    print_rounds,
    print_summary,
)
from infra.desk.published import published, round_list, round_summary, warehouse_of
from infra.desk.query import Limits, answered, answers, asked
from infra.environment import environment
from infra.store import Store, rounds
from infra.store.rounds import NoSuchRound
from infra.warehouse import GRAINS, ask, build, first_comment, relations, statements

Campaign = Annotated[str | None, typer.Option(help="Default: that of the round that ran last.")]
PublicationId = Annotated[
    str | None, typer.Option("--publication", help="One that was replaced, by its name in `cpl rounds --all`.")
]


def sql(
    query: Annotated[str | None, typer.Argument(help='SQL in DuckDB\'s dialect: "select … from preferences".')] = None,
    file: Annotated[Path | None, typer.Option(help="Read the query from a file.", exists=True, dir_okay=False)] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all rows as a JSON list.")] = False,
    round: Annotated[int | None, typer.Option(help="Warehouse as of this round. Default: the latest.")] = None,
    campaign: Annotated[
        list[str] | None, typer.Option(help="Several ask all of them. Default: that of the round that ran last.")
    ] = None,
    publication_id: PublicationId = None,
    seconds: Annotated[float, typer.Option(help="Stop the query after so long.", min=0.1)] = Limits.seconds,
    show_list: Annotated[bool, typer.Option("--list", help="List tables, views and example queries.")] = False,
) -> None:
    """Ask the warehouse of a campaign: one SELECT, read-only, without access to files or the network.

    By default it asks the campaign whose round completed last. It holds that round and those before it.
    """
    if show_list:
        _list()
        return
    if (query is None) == (file is None):
        raise typer.BadParameter("give a query or --file, not both; --list shows what can be asked")
    if as_csv and as_json:
        raise typer.BadParameter("--csv or --json, not both")
    if campaign and len(campaign) > 1 and (round or publication_id):
        raise typer.BadParameter("--round and --publication are of one campaign")
    text = file.read_text() if file is not None else str(query)
    with plain_errors():
        store = Store.open(environment())
        asked_of = [published(store, one, round, publication_id) for one in campaign or (None,)]
        paths = list(dict.fromkeys(path for found in asked_of for path in warehouse_of(store, found)))
        most = None if as_csv or as_json else ROWS_SHOWN + 1
        with asked(paths, text, most, Limits(seconds=seconds)) as batches:
            if as_csv:
                print_csv(answers(batches))
            elif as_json:
                print_records(answers(batches))
            else:
                answer = answered(batches)
                typer.echo("; ".join(f"Campaign {found.campaign}, up to round {found.round}" for found in asked_of))
                print_answer(answer)


def show(
    round: Annotated[int | None, typer.Argument(help="Number of the round. Default: the campaign's latest.")] = None,
    campaign: Campaign = None,
    publication_id: PublicationId = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Show what a round did, what it cost and what came of it. Default: the round that ran last."""
    with plain_errors():
        summary = round_summary(Store.open(environment()), campaign, round, publication_id)
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)


def list_rounds(
    campaign: Annotated[str | None, typer.Argument(help="Only this campaign.")] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also publications that a newer one replaced.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the rounds of all campaigns: published ones, and those whose last run failed before that."""
    with plain_errors():
        found = round_list(Store.open(environment()), campaign or "", show_all)
        if campaign and not found:
            raise NoSuchRound(f"There is no round of a campaign {campaign!r}; `cpl rounds` lists those of all.")
    if as_json:
        print_json(found)
    else:
        print_rounds(found)


def remove(
    campaign: Annotated[str, typer.Argument(help="Name of the campaign.")],
    round: Annotated[int | None, typer.Argument(help="Only this round, the campaign's latest.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a round, or a whole campaign. Its stages stay: the same round again finds them."""
    what = f"all rounds of {campaign}" if round is None else f"round {round} of {campaign}"
    if not yes:
        typer.confirm(f"Remove {what}?", abort=True)
    with plain_errors():
        gone = rounds.remove(Store.open(environment()), campaign, round)
    typer.echo(f"Removed from {campaign}: round {', '.join(map(str, gone))}")


def _list() -> None:
    """What `sql/` defines, read from an empty warehouse: it needs no store and no round."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.duckdb"
        build(empty, {})
        found = ask(
            empty,
            f"{GRAINS} order by list_position(?, name)",
            [relations("tables") + relations("derived") + relations("views")],
        )
    queries = [(os.path.relpath(file), first_comment(file)) for file in statements("queries")]
    print_listing(found.records(), queries)

"""`cpl sql` and `cpl show`: asking what the rounds made. Reads only; files come from the store's digest cache."""

import csv
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from infra.settings import settings
from infra.store import Manifest, Ref, Store, StoreError
from infra.summary import NO_TABLES, Row, Tables, accuracy_grid, publication, summarise
from infra.warehouse import Answer, ask, build, first_comment, statements

ROWS_PRINTED = 100
CELL_WIDTH = 400
PIPE_WIDTH = 160

STAGE = "stages."
"""Prefix of a round manifest's inputs that are its stages (the others: the round before)."""

Campaign = Annotated[str | None, typer.Option(help="Default: the campaign that published last.")]


class NothingThere(LookupError):
    """There is no such round; the message says how to make one."""


def sql(
    query: Annotated[str | None, typer.Argument(help='SQL in DuckDB\'s dialect: "select … from step_pairs".')] = None,
    file: Annotated[Path | None, typer.Option(help="Read the query from a file.", exists=True, dir_okay=False)] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of rows.")] = False,
    round: Annotated[int | None, typer.Option(help="Warehouse as of this round. Default: the latest.")] = None,
    campaign: Campaign = None,
    show_list: Annotated[bool, typer.Option("--list", help="List tables, views and example queries.")] = False,
) -> None:
    """Ask the warehouse of a campaign, read-only."""
    if show_list:
        return _print_list()
    if (query is None) == (file is None):
        raise typer.BadParameter("give a query or --file, not both; --list shows what can be asked")
    if as_csv and as_json:
        raise typer.BadParameter("--csv or --json, not both")
    text = query if file is None else file.read_text()
    with _plain_errors():
        store = Store.open(settings())
        _, path = _warehouse(store, published(store, campaign, round))
        answer = ask(path, str(text), most=None if as_csv or as_json else ROWS_PRINTED + 1)
    if as_csv:
        _print_csv(answer)
    elif as_json:
        _print_json(answer.records())
    else:
        _print_answer(answer)


def show(
    round: Annotated[int | None, typer.Argument(help="Number of the round. Default: the latest.")] = None,
    campaign: Campaign = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Show what a round did, what it cost and what came of it."""
    with _plain_errors():
        summary = round_summary(Store.open(settings()), campaign, round)
    if as_json:
        _print_json(summary)
    else:
        _print_summary(summary)


def published(store: Store, campaign: str | None, round: int | None) -> Manifest:
    """The manifest of a published round; by default the latest round of the campaign that published last.

    Raises:
        NothingThere: with the way to a round, when there is none.
    """
    if campaign is None:
        latest = [_manifest(store, name) for name in store.names("campaigns/")]
        if not latest:
            raise NothingThere("Nothing is published yet. Make a round: `make round`, or run cpl/round in the UI.")
        newest = max(latest, key=lambda manifest: manifest.created_at)
        return newest if round is None else published(store, newest.facts["campaign"], round)
    name = f"campaigns/{campaign}/latest.json" if round is None else f"rounds/{campaign}/{round:04d}/latest.json"
    if name not in store.names(name):
        what = "Nothing" if round is None else f"No round {round}"
        known = ", ".join(part.split("/")[1] for part in store.names("campaigns/")) or "none"
        raise NothingThere(f"{what} of campaign {campaign!r} is published. Campaigns that are: {known}.")
    return _manifest(store, name)


def round_summary(store: Store, campaign: str | None, round: int | None) -> Row:
    """The document of `cpl show --json` (infra.summary): the latest round of the campaign, also where it failed."""
    records = [name.removesuffix(".json").split("/")[2:] for name in store.names("runs/latest/")]
    if campaign is None:
        alone = {name for name, _ in records}
        campaign = alone.pop() if len(alone) == 1 else published(store, None, None).facts["campaign"]
    runs = {int(number) for name, number in records if name == campaign}
    if round is None:
        round = max(runs) if runs else published(store, campaign, None).facts["round"]
    record = json.loads(store.get(f"runs/latest/{campaign}/{round:04d}.json")) if round in runs else None
    try:
        manifest = published(store, campaign, round)
    except NothingThere:
        if record is None:
            raise
        return summarise(campaign, round, record, None, NO_TABLES)
    stages = {name.removeprefix(STAGE): ref for name, ref in manifest.inputs.items() if name.startswith(STAGE)}
    made = {name: store.manifest(ref) for name, ref in stages.items()}
    known = publication(manifest.facts, manifest.run_id, {name: (one.seconds, one.run_id) for name, one in made.items()})
    _, path = _warehouse(store, manifest)
    return summarise(campaign, round, record, known, round_tables(path, campaign, round))


def round_tables(path: Path, campaign: str, round: int) -> Tables:
    """What the warehouse at `path` holds of one round."""
    names = ask(path, "select table_name from duckdb_tables() order by table_oid").rows
    counted = " union all ".join(
        f"select '{name}' as name, count(*) as rows from {name} where (campaign, round) = ($campaign, $round)"
        for (name,) in names
    )
    of_round = {"campaign": campaign, "round": round}
    by_model = "list_position(['base', 'sft', 'sft_more', 'step_apo'], model)"
    evaluations = (
        "select model, benchmark, split, kind, accuracy, stderr, n from evaluations "
        f"where (campaign, round) = ($campaign, $round) order by split, benchmark, kind, {by_model}"
    )
    rankings = (
        "select * exclude (campaign, round) from value_rankings "
        f"where (campaign, round) = ($campaign, $round) order by {by_model}"
    )
    return {
        "counts": dict(ask(path, counted, of_round).rows),
        "evaluations": ask(path, evaluations, of_round).records(),
        "value_rankings": ask(path, rankings, of_round).records(),
    }

"""`cpl sql` and `cpl show`: asking what the rounds made. Reads only; files come from the store's digest cache."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from infra.display import ROWS_SHOWN, print_answer, print_csv, print_json, print_listing, print_summary
from infra.settings import settings
from infra.store import Manifest, Ref, Store, StoreError
from infra.summary import NO_TABLES, Row, Tables, publication, summarise
from infra.warehouse import ask, build, first_comment, statements

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
        _list()
        return
    if (query is None) == (file is None):
        raise typer.BadParameter("give a query or --file, not both; --list shows what can be asked")
    if as_csv and as_json:
        raise typer.BadParameter("--csv or --json, not both")
    text = file.read_text() if file is not None else str(query)
    with _plain_errors():
        store = Store.open(settings())
        answer = ask(
            _warehouse(store, published(store, campaign, round)),
            text,
            most=None if as_csv or as_json else ROWS_SHOWN + 1,
        )
    if as_csv:
        print_csv(answer)
    elif as_json:
        print_json(answer.records())
    else:
        print_answer(answer)


def show(
    round: Annotated[int | None, typer.Argument(help="Number of the round. Default: the latest.")] = None,
    campaign: Campaign = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Show what a round did, what it cost and what came of it."""
    with _plain_errors():
        summary = round_summary(Store.open(settings()), campaign, round)
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)


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
    known = publication(
        manifest.facts, manifest.run_id, {name: (one.seconds, one.run_id) for name, one in made.items()}
    )
    return summarise(campaign, round, record, known, round_tables(_warehouse(store, manifest), campaign, round))


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


def _manifest(store: Store, pointer: str) -> Manifest:
    return store.manifest(Ref.model_validate(json.loads(store.get(pointer))["manifest"]))


def _warehouse(store: Store, round_manifest: Manifest) -> Path:
    """Local verified copy of the DuckDB file that the round published."""
    return store.fetch(round_manifest.inputs[f"{STAGE}warehouse"], "factory.duckdb")


def _list() -> None:
    """What `sql/` defines, read from an empty warehouse: it needs no store and no round."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.duckdb"
        build(empty, {})
        relations = ask(
            empty,
            "select table_name as name, comment from duckdb_tables() "
            "union all by name select view_name as name, comment from duckdb_views() where not internal",
        )
    examples = [(os.path.relpath(file), first_comment(file)) for file in statements("examples")]
    print_listing(relations.records(), examples)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """A wrong query, a missing round and a store that is down are told in words, with exit status 1."""
    try:
        yield
    except (duckdb.Error, NothingThere, StoreError) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from problem

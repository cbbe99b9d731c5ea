"""`cpl sql` and `cpl show`: asking what the rounds made. Reads only; files come from the store's digest cache."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import duckdb
import typer

from infra.display import ROWS_SHOWN, print_answer, print_csv, print_json, print_listing, print_summary
from infra.s3 import StoreError
from infra.settings import settings
from infra.store import Manifest, Ref, Store
from infra.summary import NO_TABLES, Row, Tables, publication, summarise
from infra.warehouse import ask, build, first_comment, statements

STAGE = "stages."
"""Prefix of a round manifest's inputs that are its stages (the others: the round before)."""

RECORDS = "runs/latest/"
"""Where the last run of every round is recorded (tasks.record): <campaign>/<NNNN>.json."""

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


class Published(NamedTuple):
    """A published round: the pointer's campaign and round, and the manifest that it points to."""

    campaign: str
    round: int
    manifest: Manifest

    @property
    def stages(self) -> dict[str, Ref]:
        inputs = self.manifest.inputs.items()
        return {name.removeprefix(STAGE): ref for name, ref in inputs if name.startswith(STAGE)}


def published(store: Store, campaign: str | None, round: int | None) -> Published:
    """A published round; by default the latest one of the campaign that published last.

    Raises:
        NothingThere: with the way to a round, when there is none.
    """
    campaigns = store.names("campaigns/")
    if not campaigns:
        raise NothingThere("Nothing is published yet. Make a round: `make round`, or run cpl/round in the UI.")
    if campaign is None:
        newest = max((_published(store, name) for name in campaigns), key=lambda one: one.manifest.created_at)
        return newest if round is None else published(store, newest.campaign, round)
    name = f"campaigns/{campaign}/latest.json" if round is None else f"rounds/{campaign}/{round:04d}/latest.json"
    if name not in store.names(name):
        what = "Nothing" if round is None else f"No round {round}"
        known = ", ".join(other.split("/")[1] for other in campaigns)
        raise NothingThere(f"{what} of campaign {campaign!r} is published. Campaigns that have rounds: {known}.")
    return _published(store, name)


def round_summary(store: Store, campaign: str | None, round: int | None) -> Row:
    """The document of `cpl show --json` (infra.summary): the latest round of the campaign, also where it failed."""
    records = [name.removesuffix(".json").split("/")[2:] for name in store.names(RECORDS)]
    if campaign is None:
        ran = {name for name, _ in records}
        campaign = ran.pop() if len(ran) == 1 else published(store, None, None).campaign
    runs = {int(number) for name, number in records if name == campaign}
    if round is None:
        round = max(runs) if runs else published(store, campaign, None).round
    record = json.loads(store.get(f"{RECORDS}{campaign}/{round:04d}.json")) if round in runs else None
    try:
        found = published(store, campaign, round)
    except NothingThere:
        if record is None:
            raise
        return summarise(campaign, round, record, None, NO_TABLES)
    made = {name: store.manifest(ref) for name, ref in found.stages.items()}
    seconds_and_runs = {name: (manifest.seconds, manifest.run_id) for name, manifest in made.items()}
    known = publication(found.manifest.facts, found.manifest.run_id, seconds_and_runs)
    return summarise(campaign, round, record, known, round_tables(_warehouse(store, found), campaign, round))


def round_tables(path: Path, campaign: str, round: int) -> Tables:
    """What the warehouse at `path` holds of one round."""
    order = "order by list_position(?, table_name), table_name"
    names = ask(path, f"select table_name from duckdb_tables() {order}", [_names("tables")]).rows
    counted = " union all ".join(
        f"select '{name}' as name, count(*) as rows from {name} where (campaign, round) = ($campaign, $round)"
        for (name,) in names
    )
    of_round = {"campaign": campaign, "round": round}
    by_model = "list_position(['base', 'sft', 'value', 'sft_more', 'step_dpo', 'step_apo'], model)"
    models = (
        "select model, parent, same_as, updates, examples, seconds from models "
        f"where (campaign, round) = ($campaign, $round) order by {by_model}"
    )
    evaluations = (
        "select * exclude (campaign, round) from evaluations "
        f"where (campaign, round) = ($campaign, $round) order by split, benchmark, kind, {by_model}"
    )
    comparisons = (
        "select * exclude (campaign, round) from model_comparisons "
        "where (campaign, round) = ($campaign, $round) "
        "and (other = 'base' or (model = 'step_apo' and other in ('sft_more', 'step_dpo'))) "
        f"order by split, benchmark, other <> 'base', {by_model}, other"
    )
    rankings = (
        "select * exclude (campaign, round) from value_rankings "
        f"where (campaign, round) = ($campaign, $round) order by {by_model}, kind"
    )
    efficiency = (
        "select * exclude (campaign, round) from engine_efficiency "
        "where (campaign, round) = ($campaign, $round) "
        "order by list_position(['rollouts', 'search'], step), step"
    )
    return {
        "counts": dict(ask(path, counted, of_round).rows),
        "models": ask(path, models, of_round).records(),
        "evaluations": ask(path, evaluations, of_round).records(),
        "comparisons": ask(path, comparisons, of_round).records(),
        "value_rankings": ask(path, rankings, of_round).records(),
        "engine": ask(path, efficiency, of_round).records(),
    }


def _published(store: Store, name: str) -> Published:
    pointer = json.loads(store.get(name))
    manifest = store.manifest(Ref.model_validate(pointer["manifest"]))
    return Published(pointer["campaign"], pointer["round"], manifest)


def _warehouse(store: Store, found: Published) -> Path:
    """Local verified copy of the DuckDB file that the round published."""
    return store.fetch(found.stages["warehouse"], "factory.duckdb")


def _list() -> None:
    """What `sql/` defines, read from an empty warehouse: it needs no store and no round."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.duckdb"
        build(empty, {})
        relations = ask(
            empty,
            "select table_name as name, comment from duckdb_tables() "
            "union all select view_name, comment from duckdb_views() where not internal "
            "order by list_position(?, name)",
            [_names("tables") + _names("views")],
        )
    examples = [(os.path.relpath(file), first_comment(file)) for file in statements("examples")]
    print_listing(relations.records(), examples)


def _names(folder: str) -> list[str]:
    """The relations that `sql/<folder>` makes, in its order: NN_name.sql makes `name`."""
    return [file.stem.partition("_")[2] for file in statements(folder)]


@contextmanager
def _plain_errors() -> Iterator[None]:
    """A wrong query, a missing round, a store that is down, a full disk: told in words, with exit status 1."""
    try:
        yield
    except (duckdb.Error, NothingThere, StoreError, OSError) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from problem

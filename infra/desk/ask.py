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
from infra.desk.query import Limits, answered, answers, asked
from infra.desk.summary import NO_TABLES, Row, Tables, publication, summarise
from infra.environment import environment
from infra.store import Store, rounds
from infra.store.rounds import NoSuchRound, Publication
from infra.warehouse import ask, build, first_comment, statements

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
    campaign: Campaign = None,
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
    text = file.read_text() if file is not None else str(query)
    with plain_errors():
        store = Store.open(environment())
        found = _published(store, campaign, round, publication_id)
        most = None if as_csv or as_json else ROWS_SHOWN + 1
        with asked(_warehouse(store, found), text, most, Limits(seconds=seconds)) as batches:
            if as_csv:
                print_csv(answers(batches))
            elif as_json:
                print_records(answers(batches))
            else:
                answer = answered(batches)
                typer.echo(f"Campaign {found.campaign}, up to round {found.round}")
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


def round_list(store: Store, campaign: str = "", show_all: bool = False) -> list[Row]:
    """A row a publication: campaign, round, state (published, replaced, failed), when, and what it is made of."""
    listed = [
        _listed(store, one, "published" if is_newest else "replaced")
        for one, is_newest in rounds.publications(store, campaign)
        if is_newest or show_all
    ]
    published = {(row["campaign"], row["round"]) for row in listed}
    for name, number in rounds.recorded(store):
        if (name, number) not in published and name == (campaign or name):
            record = rounds.read_record(store, name, number) or {}
            made_of = {what: record.get(what) for what in ("recipe", "model", "source")}
            empty = dict.fromkeys(("published_at", "questions", "preferences", "publication"))
            listed.append({"campaign": name, "round": number, "state": record.get("state"), **empty, **made_of})
    return sorted(listed, key=lambda row: (row["campaign"], row["round"], row["state"] == "published"))


def _listed(store: Store, one: Publication, state: str) -> Row:
    manifest = store.manifest(one.manifest)
    rows = {stage: ref.rows for stage, ref in rounds.stages_of(manifest).items()}
    title = rounds.title_of(manifest)
    return {
        "campaign": one.campaign,
        "round": one.round,
        "state": state,
        "published_at": f"{manifest.created_at:%Y-%m-%d %H:%M} UTC",
        "recipe": title.recipe,
        "model": title.model,
        "source": title.source or None,
        "questions": rows.get("questions"),
        "preferences": manifest.facts.get("preferences"),
        "publication": one.publication,
    }


def _published(store: Store, campaign: str | None, round: int | None, publication_id: str | None = None) -> Publication:
    """The publication that is asked for; by default of the round that completed last, found in the cache or not.

    Raises:
        NoSuchRound: with the way to a round, when there is none.
    """
    if campaign is None:
        campaign, last = rounds.last_run(store, completed=True) or (_newest_campaign(store), None)
        round = last if round is None and publication_id is None else round
    return rounds.published(store, campaign, round, publication_id)


def _newest_campaign(store: Store) -> str:
    """The campaign that published last, in a store whose runs were recorded by an earlier version."""
    latest = {name: rounds.published(store, name).manifest for name in rounds.campaigns(store)}
    return max(latest, key=lambda name: store.manifest(latest[name]).created_at, default="")


def round_summary(
    store: Store, campaign: str | None = None, round: int | None = None, publication_id: str | None = None
) -> Row:
    """The document of `cpl show --json` : by default of the round that ran last, failed ones too."""
    if campaign is None and publication_id is None:
        campaign, number = rounds.last_run(store) or (_published(store, None, round).campaign, 0)
        round = round or number or None
    record = None
    if publication_id is None and campaign is not None:
        runs = [number for name, number in rounds.recorded(store) if name == campaign]
        round = round or (max(runs) if runs else None)
        record = rounds.read_record(store, campaign, round) if round in runs else None
    try:
        found = _published(store, campaign, round, publication_id)
    except NoSuchRound:
        if record is None or campaign is None or round is None:
            raise
        return summarise(campaign, round, record, None, NO_TABLES)
    manifest = store.manifest(found.manifest)
    if manifest.version < rounds.SINCE:
        raise NoSuchRound(
            f"Round {found.round} of {found.campaign} was published by an earlier version ({manifest.code}), whose "
            "tables are others: that version shows it, `cpl sql` asks it, and the round run again is shown here."
        )
    made = {name: store.manifest(ref) for name, ref in rounds.stages_of(manifest).items()}
    seconds_and_runs = {name: (one.seconds, one.run_id) for name, one in made.items()}
    known = publication(manifest.facts, manifest.run_id, seconds_and_runs)
    tables = round_tables(_warehouse(store, found), found.campaign, found.round)
    return summarise(found.campaign, found.round, record, known, tables)


def round_tables(path: Path, campaign: str, round: int) -> Tables:
    """What the warehouse at `path` holds of one round."""
    order = "order by list_position(?, table_name), table_name"
    names = ask(path, f"select table_name from duckdb_tables() {order}", [_names("tables")]).rows
    counted = " union all ".join(
        f"select '{name}' as name, count(*) as rows from {name} where (campaign, round) = ($campaign, $round)"
        for (name,) in names
    )
    of_round = {"campaign": campaign, "round": round}
    reports = {file.stem: ask(path, file.read_text(), of_round).records() for file in statements("reports")}
    return {"counts": dict(ask(path, counted, of_round).rows)} | reports  # type: ignore[return-value] # a file each


def _warehouse(store: Store, found: Publication) -> Path:
    """Local verified copy of the DuckDB file that the round published."""
    return store.fetch(rounds.stages_of(store.manifest(found.manifest))["warehouse"], "factory.duckdb")


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

"""What the store and the warehouse say of the rounds: the list of them, and the summary of one."""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.desk.summary import NO_TABLES, Row, Tables, publication, summarise
from infra.store import Manifest, Ref, Store, rounds
from infra.store.rounds import NoSuchRound, Publication
from infra.warehouse import ParquetSource, ask, build, relations, statements


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


def published(store: Store, campaign: str | None, round: int | None, publication_id: str | None = None) -> Publication:
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
        campaign, number = rounds.last_run(store) or (published(store, None, round).campaign, 0)
        round = round or number or None
    record = None
    if publication_id is None and campaign is not None:
        runs = [number for name, number in rounds.recorded(store) if name == campaign]
        round = round or (max(runs) if runs else None)
        record = rounds.read_record(store, campaign, round) if round in runs else None
    try:
        found = published(store, campaign, round, publication_id)
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
    tables = round_tables(warehouse_of(store, found), found.campaign, found.round)
    return summarise(found.campaign, found.round, record, known, tables)


def round_tables(path: Path | Sequence[Path], campaign: str, round: int) -> Tables:
    """What a warehouse holds of one round."""
    counted = " union all ".join(
        f"select '{name}' as name, count(*) as rows from {name} where (campaign, round) = ($campaign, $round)"
        for name in relations("tables")
    )
    of_round = {"campaign": campaign, "round": round}
    reports = {file.stem: ask(path, file.read_text(), of_round).records() for file in statements("reports")}
    return {"counts": dict(ask(path, counted, of_round).rows)} | reports  # type: ignore[return-value] # a file each


def warehouse_of(store: Store, found: Publication) -> list[Path]:
    """The campaign up to this round, a DuckDB file a round, the first round's first (`infra.warehouse.opened`).

    Each is made once on this machine, from the tables that the round published, and kept in the cache.
    """
    manifest = store.manifest(found.manifest)
    if manifest.version < rounds.SINCE:  # one file of its own and of all rounds before it; no later one starts from it
        return [store.fetch(rounds.stages_of(manifest)["warehouse"], "factory.duckdb")]
    paths = [_round_file(store, manifest)]
    while previous := manifest.inputs.get("previous"):
        manifest = store.manifest(previous)
        paths.insert(0, _round_file(store, manifest))
    return paths


def _round_file(store: Store, manifest: Manifest) -> Path:
    stages, title = rounds.stages_of(manifest), rounds.title_of(manifest)
    made_by = hashlib.sha256(stages["warehouse"].sha256.encode())
    for folder in ("tables", "loads", "derived", "views"):
        for file in statements(folder):
            made_by.update(file.read_bytes())
    path = store.cache.folder / "warehouse" / f"{made_by.hexdigest()[:32]}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            whole = Path(scratch) / path.name
            build(whole, round_sources(store, title.campaign, title.round, stages))
            with whole.open("rb") as built:
                os.fsync(built.fileno())  # a build waits for no disk, and what has its name is never made again
            whole.replace(path)
    return path


def round_sources(store: Store, campaign: str, round: int, stages: Mapping[str, Ref]) -> dict[str, list[ParquetSource]]:
    """Every table that the stages of a round wrote, as local verified files."""
    tables, sources = set(relations("tables")), dict[str, list[ParquetSource]]()
    for ref in stages.values():
        for stored in store.manifest(ref).objects:
            if (table := stored.name.removesuffix(".parquet")) in tables:
                path = store.fetch(ref, stored.name)
                sources.setdefault(table, []).append(ParquetSource(campaign, round, path))
    return sources

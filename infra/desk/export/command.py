"""`cpl export`: pairs, imitated paths, a model or a whole round, each into a folder of its own."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from infra.desk.ask import Campaign
from infra.desk.display import plain_errors
from infra.desk.export.lessons import write
from infra.desk.published import published, warehouse_of
from infra.environment import environment
from infra.store import Store, StoreError, rounds
from infra.store.rounds import NoSuchRound, Publication
from infra.warehouse import ask

app = typer.Typer(no_args_is_help=True, help="Take pairs, imitated paths, a model or a round out, for other tools.")

Folder = Annotated[Path, typer.Argument(help="A folder that is not there yet, or is empty.")]
Round = Annotated[int | None, typer.Option(help="Of this round. Default: the campaign's latest.")]


@app.command()
def pairs(folder: Folder, round: Round = None, campaign: Campaign = None) -> None:
    """Preferences with margins and provenance: columns prompt, chosen, rejected of TRL's DPOTrainer."""
    _data("pairs", folder, campaign, round)


@app.command()
def sft(folder: Folder, round: Round = None, campaign: Campaign = None) -> None:
    """Imitated paths with targets of V and provenance: columns prompt, completion of TRL's SFTTrainer."""
    _data("sft", folder, campaign, round)


@app.command()
def model(
    name: Annotated[str, typer.Argument(help="As `cpl show` names it: base, sft, step_apo, …")],
    folder: Folder,
    round: Round = None,
    campaign: Campaign = None,
    without_value_words: Annotated[
        bool, typer.Option("--without-value-words", help="Vocabulary and tokenizer as before the factory took it in.")
    ] = False,
) -> None:
    """A model as a folder that transformers and vLLM load, with the two words of its vocabulary that hold its value."""
    with plain_errors(), _filled(folder) as filled:
        store = Store.open(environment())
        found = _current(store, campaign, round)
        stages = rounds.stages_of(store.manifest(found.manifest))
        (made,) = ask(warehouse_of(store, found), "select list(model) from models where round = ?", [found.round]).rows
        if name not in made[0]:
            raise NoSuchRound(f"Round {found.round} of {found.campaign} has no model {name!r}; it has {made[0]}.")
        held = store.folder(stages[name], "model")
        if without_value_words:
            _without_value_words(held, filled)
        else:
            shutil.copytree(held, filled, dirs_exist_ok=True)
        typer.echo(f"{name} of round {found.round} of {found.campaign}: {folder}")


@app.command("round")
def whole_round(
    folder: Folder,
    round: Annotated[int | None, typer.Option(help="This round. Default: the campaign's latest.")] = None,
    campaign: Campaign = None,
) -> None:
    """All tables of a round as Parquet, with a card, Croissant, OpenLineage events and a frozen DuckLake catalogue."""
    from infra.desk.export.data_set import write_round

    with plain_errors(), _filled(folder) as filled:
        store = Store.open(environment())
        found = _current(store, campaign, round)
        tables = write_round(store, found, filled)
        rows = sum(table.rows for table in tables)
        typer.echo(f"{rows:,} rows of {len(tables)} tables of round {found.round} of {found.campaign}: {folder}")


def _data(what: str, folder: Path, campaign: str | None, round: int | None) -> None:
    with plain_errors(), _filled(folder) as filled:
        store = Store.open(environment())
        found = _current(store, campaign, round)
        rows = write(warehouse_of(store, found)[-1], what, found, filled)
        typer.echo(f"{rows:,} rows of round {found.round} of {found.campaign}: {folder}")


def _current(store: Store, campaign: str | None, round: int | None) -> Publication:
    """The publication that is asked for. Raises NoSuchRound, too, for one with the tables of an earlier version."""
    found = published(store, campaign, round)
    if (manifest := store.manifest(found.manifest)).version < rounds.SINCE:
        raise NoSuchRound(
            f"Round {found.round} of {found.campaign} was published by an earlier version ({manifest.code}), whose "
            "tables are others: run the round again, and its models are found."
        )
    return found


def _without_value_words(held: Path, folder: Path) -> None:
    """Fills the folder in a process of its own: only trainers compute."""
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.json"
        config.write_text(json.dumps({"model": str(held), "output": str(folder)}))
        done = subprocess.run(
            [sys.executable, "-m", "trainers.without_value", str(config)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise StoreError(done.stderr.strip().rpartition("\n")[2] or f"its process ended with status {done.returncode}")


@contextmanager
def _filled(folder: Path) -> Iterator[Path]:
    """A folder beside it to be filled, which takes its name when it is whole."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there, and not empty: name a new folder")
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        whole = Path(beside) / folder.name
        whole.mkdir()
        yield whole
        whole.replace(folder)

"""`cpl export`: pairs, imitated paths and models out of the factory, as other tools read them.

A data set is a folder with the rows as Parquet and as JSON lines, and a card that says what they are and where they
come from. A model is the folder that the engine serves.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from infra.desk.ask import Campaign
from infra.desk.display import plain_errors
from infra.desk.published import published, warehouse_of
from infra.environment import environment
from infra.store import Store, rounds
from infra.store.rounds import NoSuchRound, Publication
from infra.warehouse import SQL, ask, first_comment, opened

BATCH = 10_000
KINDS = {"pairs": ("pairs", "dpo"), "sft": ("imitated_paths", "sft")}
"""By query of `sql/exports`: the view whose columns it takes, and the hub's tag for such data."""

HEED = {
    "pairs": "A step ends no text. TRL appends an end of sequence to both sides, which teaches a model to stop after a "
    "step: the token ids have none, and the factory's own trainer adds none. `lesson` tells the lessons of the recipe "
    "apart.",
    "sft": "Each path is whole: an end of sequence belongs behind it, and the token ids have it. `lesson` tells the "
    "lessons of the recipe apart.",
}
"""What goes wrong unnoticed."""

app = typer.Typer(no_args_is_help=True, help="Take pairs, imitated paths or a model out, as other tools read them.")

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
) -> None:
    """A model as a folder that transformers and vLLM load, with the two words of its vocabulary that hold its value."""
    with plain_errors(), _filled(folder) as filled:
        store = Store.open(environment())
        found = _current(store, campaign, round)
        stages = rounds.stages_of(store.manifest(found.manifest))
        (made,) = ask(warehouse_of(store, found), "select list(model) from models where round = ?", [found.round]).rows
        if name not in made[0]:
            raise NoSuchRound(f"Round {found.round} of {found.campaign} has no model {name!r}; it has {made[0]}.")
        shutil.copytree(store.folder(stages[name], "model"), filled, dirs_exist_ok=True)
        typer.echo(f"{name} of round {found.round} of {found.campaign}: {folder}")


def _data(what: str, folder: Path, campaign: str | None, round: int | None) -> None:
    with plain_errors(), _filled(folder) as filled:
        store = Store.open(environment())
        found = _current(store, campaign, round)
        rows = write(warehouse_of(store, found), what, found, filled)
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


def write(warehouse: Path | Sequence[Path], what: str, found: Publication, folder: Path) -> int:
    """The rows of one of `sql/exports`, as `<what>.parquet` and `<what>.jsonl`, and their card; how many they are."""
    query = SQL / "exports" / f"{what}.sql"
    rows = 0
    with opened(warehouse) as connection:
        of_round = {"campaign": found.campaign, "round": found.round}
        reader: pa.RecordBatchReader = connection.sql(query.read_text(), params=of_round).to_arrow_reader(BATCH)
        with (
            pq.ParquetWriter(folder / f"{what}.parquet", reader.schema, compression="zstd") as parquet,
            (folder / f"{what}.jsonl").open("w", encoding="utf-8") as lines,
        ):
            for batch in reader:
                parquet.write_batch(batch)
                lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
                rows += batch.num_rows
    told = card(warehouse, what, found, reader.schema.names, rows)
    (folder / "README.md").write_text(told, encoding="utf-8")
    return rows


def card(warehouse: Path | Sequence[Path], what: str, found: Publication, columns: list[str], rows: int) -> str:
    """What the data are, for who finds the folder: the hub reads its head, people the rest."""
    table, tag = KINDS[what]
    (made,) = ask(
        warehouse,
        "select recipe, model, code, list_sort(list(distinct source)) as sources from rounds "
        "inner join questions using (campaign, round) where campaign = ? and round = ? group by all",
        [found.campaign, found.round],
    ).records()
    said = dict(
        ask(
            warehouse,
            "select column_name, comment from duckdb_columns() "
            "where table_name in ('questions', ?) and comment is not null order by table_name = 'questions' desc",
            [table],
        ).rows
    )
    said |= {"margin": "chosen_value - rejected_value: the advantage by which Step-APO asks more of a pair."}
    lines = [
        "---",
        "configs:",
        "- config_name: default",
        f"  data_files: {what}.parquet",
        "tags:",
        "- trl",
        f"- {tag}",
        "---",
        f"# {rows:,} {what} of round {found.round} of {found.campaign}",
        "",
        first_comment(SQL / "exports" / f"{what}.sql"),
        "",
        f"Recipe `{made['recipe']}`, base model {_named(made['model'])}, questions of "
        f"{', '.join(map(_named, made['sources']))}, made by CPL Factory {made['code']}. The licence of the questions "
        "holds for what was made of them.",
        "",
        HEED[what],
        "",
        "| column | what it is |",
        "| --- | --- |",
        *(f"| `{name}` | {said[name]} |" for name in columns),
        "",
    ]
    return "\n".join(lines)


def _named(source: str) -> str:
    """A model or a source as others may know it: of a path on this machine the last part."""
    is_path = source.startswith(("/", "~", "."))
    return "`" + re.sub(r"[`\s]+", " ", PurePath(source).name if is_path else source) + "`"

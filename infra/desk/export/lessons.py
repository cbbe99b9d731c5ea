"""Pairs and imitated paths as Parquet and JSON lines in TRL's columns, and the card that says what the columns are."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infra.desk.export.origin import origin
from infra.store.rounds import Publication
from infra.warehouse import SQL, ask, first_comment, opened

BATCH = 10_000
KINDS = {"pairs": ("pairs", "dpo"), "sft": ("imitated_paths", "sft")}
"""By query of `sql/exports`: the view whose columns it takes, and the hub's tag for such data."""

HEED = {
    "pairs": "A step ends no text. TRL appends an end of sequence to both sides, which teaches a model to stop after a "
    "step: the token ids have none, and the factory's own trainer adds none. DPOTrainer makes ids of its own; "
    "RewardTrainer would take `chosen_ids` and `rejected_ids`, which are those of a step without its prompt: drop them "
    "before. `lesson` tells the lessons of the recipe apart.",
    "sft": "Each path is whole: an end of sequence belongs behind it, and the token ids have it. SFTTrainer knows no "
    "`weight`: what was sampled several times, or weighs more by the recipe, it learns once. Single steps that a "
    "search scored are not here. `lesson` tells the lessons of the recipe apart.",
}
"""What goes wrong unnoticed."""


def write(warehouse: Path, what: str, found: Publication, folder: Path) -> int:
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


def card(warehouse: Path, what: str, found: Publication, columns: list[str], rows: int) -> str:
    """What the data are, for who finds the folder: the hub reads its head, people the rest."""
    table, tag = KINDS[what]
    said = dict(
        ask(
            warehouse,
            "select column_name, comment from duckdb_columns() where table_name in ('questions', ?) "
            "order by table_name = 'questions' desc",
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
        origin(warehouse, found),
        "",
        HEED[what],
        "",
        "| column | what it is |",
        "| --- | --- |",
        *(f"| `{name}` | {said[name]} |" for name in columns),
        "",
    ]
    return "\n".join(lines)

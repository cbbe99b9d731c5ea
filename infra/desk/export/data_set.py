"""A whole round as a data set: tables as Parquet, a card, Croissant, OpenLineage events and a frozen DuckLake."""

import json
from pathlib import Path

from infra.desk.export.croissant import croissant
from infra.desk.export.ducklake import CATALOGUE, write_catalogue
from infra.desk.export.openlineage import events
from infra.desk.export.origin import origin
from infra.desk.export.tables import FOLDER, Table, write_tables
from infra.desk.published import warehouse_of
from infra.store import Store, rounds
from infra.store.rounds import Publication


def write_round(store: Store, found: Publication, folder: Path) -> list[Table]:
    """Fills the folder, and says what is in it."""
    manifest = store.manifest(found.manifest)
    warehouse = warehouse_of(store, found)[-1]  # the round's own
    tables = write_tables(warehouse, found, folder)
    name = f"{found.campaign}-round-{found.round}"
    told = origin(warehouse, found)
    write_catalogue(folder, tables, f"{name}/{found.publication}", manifest.created_at, manifest.code)
    document = croissant(
        tables, name, f"Round {found.round} of {found.campaign}. {told}", f"{found.round}.0.0", manifest.created_at
    )
    (folder / "croissant.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    stages = rounds.stages_of(manifest) | {"publish": found.manifest}
    with (folder / "lineage.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in events(store, stages, tables))
    (folder / "README.md").write_text(card(tables, found, told), encoding="utf-8")
    return tables


def card(tables: list[Table], found: Publication, told: str) -> str:
    """What the data are and how they are opened: the hub reads its head, people the rest."""
    lines = [
        "---",
        "configs:",
        *(f"- config_name: {table.name}\n  data_files: {table.path}" for table in tables if table.rows),
        "---",
        f"# Round {found.round} of {found.campaign}",
        "",
        told,
        "",
        f"`{FOLDER}/` has every table of the round. `croissant.json` describes them for machines, `lineage.jsonl` "
        "tells in OpenLineage events what was made of what, with settings and digests. "
        f"`{CATALOGUE}` is a frozen DuckLake catalogue:",
        "",
        "```",
        f"attach 'ducklake:sqlite:{CATALOGUE}' as lake (data_path '{FOLDER}/', override_data_path true, read_only);",
        "```",
        "",
        "| table | rows | what it is |",
        "| --- | --- | --- |",
        *(f"| `{table.name}` | {table.rows:,} | {table.comment} |" for table in tables),
    ]
    for table in tables:
        lines += ["", f"## {table.name}", "", "| column | type | what it is |", "| --- | --- | --- |"]
        lines += [
            f"| `{one.name}` | {one.kind.ducklake}{'[]' * one.is_list} | {one.comment} |" for one in table.columns
        ]
    return "\n".join([*lines, ""])

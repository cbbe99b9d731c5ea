"""`cpl export round`: readers of Parquet, DuckLake, Croissant and OpenLineage find in it what the warehouse holds."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlcroissant
import polars as pl
import pytest
import typer
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.generated import (
    dataset_version_dataset,
    documentation_dataset,
    execution_parameters_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
)
from polars_ducklake import scan_ducklake
from typer.testing import CliRunner

from infra.desk.export.command import app
from infra.desk.export.croissant import croissant
from infra.desk.export.ducklake import CATALOGUE, write_catalogue
from infra.desk.export.openlineage import events
from infra.desk.export.tables import Table, write_tables
from infra.digest import digest
from infra.store import Store
from infra.warehouse import ask, build
from tests.infra.desk.test_ask import publish
from tests.infra.desk.test_export import found
from tests.sql.handmade import ROUND, parquet
from tests.stages import commit

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


FACETS: dict[str, Any] = {
    "documentation": documentation_dataset.DocumentationDatasetFacet,
    "executionParameters": execution_parameters_run.ExecutionParametersRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "parent": parent_run.ParentRunFacet,
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
}
"""Classes that OpenLineage generates from its JSON schema: each takes the fields of its facet and no others."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round")


@pytest.fixture(scope="module")
def warehouse(folder: Path) -> Path:
    """With a second round, which is none of the export's business."""
    first, second = parquet(folder, ROUND, 1), parquet(folder, ROUND, 2)
    build(folder / "factory.duckdb", {table: [*sources, *second[table]] for table, sources in first.items()})
    return folder / "factory.duckdb"


@pytest.fixture(scope="module")
def tables(warehouse: Path, folder: Path) -> list[Table]:
    return write_tables(warehouse, found(warehouse), folder)


def test_parquet_has_every_row_of_the_round_and_no_other(warehouse: Path, tables: list[Table], folder: Path) -> None:
    assert {table.name for table in tables} >= {"rounds", "trees", "nodes", "preferences", "models"}
    for table in tables:
        held = ask(warehouse, f"select * from {table.name} where round = 1 order by rowid").records()
        assert pl.read_parquet(folder / table.path).to_dicts() == held
        assert table.rows == len(held)


def test_the_ducklake_reads_the_same_rows_wherever_the_folder_lies(
    tables: list[Table], folder: Path, tmp_path: Path
) -> None:
    write_catalogue(folder, tables, "demo", AT, "0.1.0")
    moved = shutil.copytree(folder, tmp_path / "moved")

    def scan(name: str) -> pl.LazyFrame:
        return scan_ducklake(f"ducklake:sqlite:{moved / CATALOGUE}", name, data_path=f"{moved / 'tables'}/")

    for table in tables:
        assert scan(table.name).collect().equals(pl.read_parquet(folder / table.path)), table.name
    nodes = pl.read_parquet(folder / "tables" / "nodes.parquet")
    for wanted in (pl.col("node_id") == 3, pl.col("text").str.contains("Subtract"), pl.col("q") < 0):
        assert scan("nodes").filter(wanted).collect().equals(nodes.filter(wanted))


def test_croissant_readers_take_the_document_and_read_all_records(tables: list[Table], folder: Path) -> None:
    document = croissant(tables, "demo-round-1", "By hand.", "1.0.0", AT)
    (folder / "croissant.json").write_text(json.dumps(document))
    data_set = mlcroissant.Dataset(folder / "croissant.json")
    assert not data_set.metadata.ctx.issues.errors
    for table in tables:
        rows = pl.read_parquet(folder / table.path).to_dicts()
        records = [_plain(record) for record in data_set.records(table.name)]
        assert records == [{f"{table.name}/{name}": value for name, value in row.items()} for row in rows]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record as Python has it: the reader hands texts over as bytes, alone and in lists."""

    def text(value: Any) -> Any:
        return value.decode() if isinstance(value, bytes) else value

    return {
        name: [text(one) for one in value] if isinstance(value, list) else text(value) for name, value in record.items()
    }


@pytest.mark.integration
def test_lineage_tells_what_was_made_of_what(store: Store, tables: list[Table], folder: Path) -> None:
    trees = commit(store, "search", "k", {"trees.parquet": folder / "tables" / "trees.parquet"}, rows=5)
    pairs = commit(store, "lessons", "l", {"log.txt": b""}, {"trees": trees}, rows=2)
    told = list(events(store, {"trees": trees, "pairs": pairs}, tables))
    for event in told:
        _accept(event)
    assert [(event["job"]["name"], event["eventType"]) for event in told] == [
        (name, when) for name in ("trees", "pairs") for when in ("START", "COMPLETE")
    ]
    assert len({event["run"]["runId"] for event in told}) == 2
    _, searched, _, paired = told
    whole, table = searched["outputs"]
    assert whole["facets"]["version"]["datasetVersion"] == trees.sha256
    (item,) = store.manifest(trees).objects
    assert f"{table['namespace']}/{table['name']}" == store.uri_of(trees, item)
    assert {"name": "tree_id", "type": "varchar"}.items() <= table["facets"]["schema"]["fields"][0].items()
    assert table["outputFacets"]["outputStatistics"]["size"] == (folder / "tables" / "trees.parquet").stat().st_size
    assert [(one["namespace"], one["name"]) for one in paired["inputs"]] == [(whole["namespace"], whole["name"])]
    assert paired["inputs"][0]["facets"]["version"]["datasetVersion"] == trees.sha256


def _accept(event: dict[str, Any]) -> None:
    """OpenLineage's own classes take the event, its data sets and its facets."""
    run, job = event["run"], event["job"]
    RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        eventType=RunState(event["eventType"]),
        run=Run(runId=run["runId"]),
        job=Job(namespace=job["namespace"], name=job["name"]),
    )
    assert event["schemaURL"] == RunEvent._get_schema()
    assert event.keys() == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    facets = [run["facets"], job["facets"]]
    for dataset in (*event["inputs"], *event["outputs"]):
        assert dataset.keys() - {"outputFacets"} == {"namespace", "name", "facets"}
        facets += [dataset["facets"], dataset.get("outputFacets", {})]
    for name, facet in (one for group in facets for one in group.items()):
        fields = {field: value for field, value in facet.items() if field not in ("_producer", "_schemaURL")}
        FACETS[name](producer=facet["_producer"], **fields)
        assert facet["_schemaURL"] == FACETS[name]._get_schema()
        for field in facet.get("fields", ()):
            schema_dataset.SchemaDatasetFacetFields(**field)
        for parameter in facet.get("parameters", ()):
            execution_parameters_run.ExecutionParameter(**parameter)


@pytest.mark.integration
def test_the_command_writes_all_of_it_beside_a_card(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    cli = typer.Typer()
    cli.add_typer(app, name="export")
    result = CliRunner().invoke(cli, ["export", "round", str(tmp_path / "out"), "--campaign", "demo"])
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "catalogue.sqlite", "croissant.json", "lineage.jsonl", "tables"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "lineage.jsonl").read_text().splitlines()]
    assert {line["job"]["name"] for line in lines} == {"search", "warehouse", "publish"}
    card = (tmp_path / "out" / "README.md").read_text()
    files = json.loads((tmp_path / "out" / "croissant.json").read_text())["distribution"]
    paths = sorted((tmp_path / "out" / "tables").iterdir())
    assert {file["contentUrl"]: file["sha256"] for file in files} == {
        f"tables/{one.name}": digest(one) for one in paths
    }
    for path in paths:
        assert f"\n## {path.stem}\n" in card

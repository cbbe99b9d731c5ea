"""`cpl export`: what comes out is what the warehouse holds, and says where it is from."""

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from infra.desk.export.command import app
from infra.desk.export.lessons import KINDS, write
from infra.store import Ref, Store, rounds
from infra.store.rounds import Publication
from infra.warehouse import ask, build, statements
from tests.infra.desk.test_ask import publish
from tests.sql.handmade import ROUND, parquet
from tests.stages import commit

KEYS = {"pairs": "pair_id", "sft": "example_id"}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    build(folder / "factory.duckdb", parquet(folder, ROUND))
    return folder / "factory.duckdb"


def found(warehouse: Path) -> Publication:
    (of,) = ask(warehouse, "select campaign, round from rounds where round = 1").records()
    ref = Ref(uri="s3://cpl/stages/publish/1/manifest.json", sha256="0" * 64, rows=1)
    return Publication(campaign=of["campaign"], round=of["round"], manifest=ref)


def test_every_export_is_a_kind_of_data() -> None:
    assert {file.stem for file in statements("exports")} == KINDS.keys() == KEYS.keys()


@pytest.mark.parametrize("what", KINDS)
def test_rows_are_those_of_the_warehouse_in_both_forms(warehouse: Path, tmp_path: Path, what: str) -> None:
    rows = write(warehouse, what, found(warehouse), tmp_path)
    table = pl.read_parquet(tmp_path / f"{what}.parquet")
    assert table.height == rows > 0
    assert [json.loads(line) for line in (tmp_path / f"{what}.jsonl").read_text().splitlines()] == table.to_dicts()
    learnt = " where weight > 0" if what == "sft" else ""
    held = ask(warehouse, f"select * from {KINDS[what][0]}{learnt}").records()
    key = KEYS[what]
    by_key = {(row["lesson"], row[key]): row for row in held}
    taken = {(row["lesson"], row[key]): row for row in table.to_dicts()}
    assert taken.keys() == by_key.keys()
    for name, row in taken.items():
        shared = row.keys() & by_key[name].keys()
        assert {column: row[column] for column in shared} == {column: by_key[name][column] for column in shared}
    if what == "pairs":
        assert all(row["margin"] == row["chosen_value"] - row["rejected_value"] > 0 for row in taken.values())


@pytest.mark.parametrize("what", KINDS)
def test_the_card_explains_every_column(warehouse: Path, tmp_path: Path, what: str) -> None:
    write(warehouse, what, found(warehouse), tmp_path)
    card = (tmp_path / "README.md").read_text()
    for column in pl.read_parquet_schema(tmp_path / f"{what}.parquet"):
        assert f"| `{column}` | " in card
    assert card.startswith(f"---\nconfigs:\n- config_name: default\n  data_files: {what}.parquet\n")
    assert "| None |" not in card


@pytest.mark.integration
def test_the_command_fills_a_new_folder_or_leaves_none(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    cli = typer.Typer()
    cli.add_typer(app, name="export")

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["export", *words])
        return result.exit_code, result.output

    assert run("pairs", str(tmp_path / "pairs"))[0] == 0
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == ["README.md", "pairs.jsonl", "pairs.parquet"]
    status, said = run("sft", str(tmp_path / "pairs"))
    assert (status, "name a new folder" in said) == (1, True)
    status, said = run("sft", str(tmp_path / "none"), "--campaign", "other")
    assert status == 1
    assert not (tmp_path / "none").exists()
    status, said = run("model", "unknown", str(tmp_path / "none"))
    assert (status, "no model 'unknown'" in said) == (1, True)
    assert not (tmp_path / "none").exists()


@pytest.mark.integration
def test_a_folder_that_was_there_stays_where_nothing_can_be_exported(store: Store, tmp_path: Path) -> None:
    cli = typer.Typer()
    cli.add_typer(app, name="export")
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name in ("mine", "link", "mine/../mine"):
        result = CliRunner().invoke(cli, ["export", "pairs", str(tmp_path / name)])
        assert result.exit_code == 1
        assert "make round" in result.output
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["link", "mine"]


@pytest.mark.integration
def test_a_model_comes_out_as_its_folder(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    before = rounds.published(store, "demo", 1).manifest
    stages = rounds.stages_of(store.manifest(before))
    sft = commit(store, "learn", "sft", {"model/config.json": b"{}", "model/model.safetensors": b"weights", "log": b""})
    inputs = {f"stages.{name}": ref for name, ref in {**stages, "sft": sft}.items()}
    facts = store.manifest(before).facts
    rounds.publish(store, "demo", 1, commit(store, "publish", "again", {}, inputs, rounds.SINCE, **facts))
    cli = typer.Typer()
    cli.add_typer(app, name="export")
    result = CliRunner().invoke(cli, ["export", "model", "sft", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert files == {"config.json": b"{}", "model.safetensors": b"weights"}

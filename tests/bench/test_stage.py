"""The stage that the benchmarks run is the product's, with nothing behind it."""

from pathlib import Path

import polars as pl

from tasks.settings import Search
from tests.bench.script import Script
from tests.bench.stage import FolderStage, search_stage


def test_the_scripted_stage_keeps_every_tree_and_writes_its_tables(tmp_path: Path) -> None:
    stage = FolderStage(tmp_path, 3, most=float(1 << 33))
    search_stage(stage, Script(1), Search(simulations=8))
    assert stage.kept == 3
    trees = pl.read_parquet(tmp_path / "trees.parquet")
    assert trees["expansions"].to_list() == [8, 8, 8]
    assert pl.read_parquet(tmp_path / "nodes.parquet")["tree_id"].n_unique() == 3

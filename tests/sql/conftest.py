"""The hand-made round's warehouse, and that of two rounds, built once."""

from pathlib import Path

import pytest

from infra.warehouse import build
from tests.sql.handmade import ROUND, parquet


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warehouse")
    path = folder / "factory.duckdb"
    build(path, parquet(folder, ROUND))
    return path


@pytest.fixture(scope="session")
def two_rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file a round. The second did not solve what the first solved."""
    folder = tmp_path_factory.mktemp("rounds")
    lost = ROUND | {"trees": [row | {"is_solved": False} for row in ROUND["trees"]]}
    paths = [folder / "1.duckdb", folder / "2.duckdb"]
    for number, (path, tables) in enumerate(zip(paths, (ROUND, lost), strict=True), start=1):
        build(path, parquet(folder, tables, number))
    return paths

"""The hand-made round's warehouse, built once."""

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

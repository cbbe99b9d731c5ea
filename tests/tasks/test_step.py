"""A step on a full disk: told in words, nothing counts, and a retry completes."""

from pathlib import Path

import polars as pl
import pytest
from prefect.logging import disable_run_logger

from infra.disk import DiskFull
from infra.store import Store
from tasks.step import Stage, cache_key, step


@step("make_squares", version=1)
def make_squares(stage: Stage, count: int) -> int:
    stage.write("squares", pl.DataFrame({"square": [n * n for n in range(count)]}))
    return count


@pytest.mark.integration
def test_a_step_on_a_full_disk_names_the_file_and_its_retry_completes(store: Store, tmp_path: Path) -> None:
    key = cache_key("make_squares", 1, {"count": 3})
    table = tmp_path / "home" / "work" / "make_squares" / key / "squares.parquet"
    table.parent.mkdir(parents=True)
    table.symlink_to("/dev/full")
    with disable_run_logger():
        with pytest.raises(DiskFull, match=f"cannot write squares to {table}") as problem:
            make_squares.fn(count=3)  # type: ignore[attr-defined]
        assert "CPL_HOME" in str(problem.value)
        assert store.names("stages/make_squares/") == []
        table.unlink()
        ref = make_squares.fn(count=3)  # type: ignore[attr-defined]
    assert pl.read_parquet(store.fetch(ref, "squares.parquet"))["square"].to_list() == [0, 1, 4]
    assert not table.parent.exists()

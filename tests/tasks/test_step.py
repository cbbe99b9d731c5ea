"""A step on a full disk: told in words, nothing counts, and a retry completes."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect.logging import disable_run_logger

from infra.disk import DiskFull
from infra.s3 import StoreError
from infra.store import Store
from tasks import parts
from tasks.step import Stage, cache_key, step


@step("make_squares", version=1)
def make_squares(stage: Stage, count: int) -> int:
    stage.write("squares", pl.DataFrame({"square": [n * n for n in range(count)]}))
    return count


@pytest.mark.integration
def test_a_step_on_a_full_disk_names_rows_and_file_and_its_retry_completes(store: Store, tmp_path: Path) -> None:
    key = cache_key("make_squares", 1, {"count": 3})
    table = tmp_path / "home" / "work" / "make_squares" / key / "squares.parquet"
    table.parent.mkdir(parents=True)
    table.symlink_to("/dev/full")
    with disable_run_logger():
        with pytest.raises(DiskFull, match=f"3 rows of squares to {table}") as problem:
            make_squares.fn(count=3)  # type: ignore[attr-defined]
        assert "CPL_HOME" in str(problem.value)
        assert store.names("stages/make_squares/") == []
        table.unlink()
        ref = make_squares.fn(count=3)  # type: ignore[attr-defined]
    assert pl.read_parquet(store.fetch(ref, "squares.parquet"))["square"].to_list() == [0, 1, 4]
    assert not table.parent.exists()


class Silent:
    def __init__(self, *_: Any, **__: Any) -> None: ...

    def show(self, done: int) -> None: ...


class NoRoom(Stage):
    """A stage whose store cannot write."""

    def __init__(self) -> None:
        self.log = logging.getLogger()

    def parts(self) -> dict[str, bytes]:
        return {}

    def keep_part(self, name: str, data: bytes) -> None:
        raise StoreError(f"{name}: the server failed")


def test_a_store_that_fails_in_the_middle_of_many_parts_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(item: int) -> dict[str, Any]:
        return {"error": None}

    monkeypatch.setattr(parts, "Progress", Silent)
    items = {str(n): n for n in range(5)}
    with pytest.raises(StoreError, match="the server failed"):
        asyncio.run(parts.each_part(NoRoom(), items, work, what="Squares", in_flight=2))

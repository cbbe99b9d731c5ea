"""What the commands that start runs ask for."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from infra.desk import run


def test_a_studys_file_is_named_for_a_worker_that_stands_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def followed(deployment: str, parameters: dict[str, Any]) -> UUID:
        asked.append(parameters)
        return UUID(int=0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_followed", followed)
    monkeypatch.setattr(run, "_page", lambda *_: "")
    run.study("mine.toml")
    run.study("micro")
    assert asked == [{"study": str(tmp_path / "mine.toml")}, {"study": "micro"}]

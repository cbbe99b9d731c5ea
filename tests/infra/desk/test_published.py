"""A round's database that is kept on this machine: made once, and whole."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.desk import published
from infra.store import rounds


def test_what_has_the_name_of_a_rounds_database_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build waits for no disk. Half a file under that name would be opened for ever."""
    synced: list[tuple[bytes, list[Path]]] = []
    folder = tmp_path / "warehouse"

    def fsync(number: int) -> None:
        synced.append((os.pread(number, 100, 0), list(folder.glob("*.duckdb"))))

    monkeypatch.setattr(rounds, "stages_of", lambda manifest: {"warehouse": SimpleNamespace(sha256="0" * 64)})
    monkeypatch.setattr(rounds, "title_of", lambda manifest: SimpleNamespace(campaign="demo", round=1))
    monkeypatch.setattr(published, "round_sources", lambda *told: {})
    monkeypatch.setattr(published, "build", lambda path, sources: path.write_bytes(b"all of it"))
    monkeypatch.setattr(os, "fsync", fsync)
    store: Any = SimpleNamespace(cache=SimpleNamespace(folder=tmp_path))
    manifest: Any = None
    path = published._round_file(store, manifest)
    assert (path.read_bytes(), synced) == (b"all of it", [(b"all of it", [])]), "on the disk, and then named"
    assert published._round_file(store, manifest) == path
    assert len(synced) == 1, "made once"

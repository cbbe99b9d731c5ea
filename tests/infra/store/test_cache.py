"""Copies on this machine: whole or not there, and not believed unread."""

import os
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from infra.store import cache as cache_module
from infra.store.bucket import sha256
from infra.store.cache import Cache
from infra.store.manifest import StoredObject

ITEM = StoredObject(name="weights", size=7, sha256=sha256(b"payload"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def payload(file: BinaryIO) -> None:
    file.write(b"payload")


def spoilt(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_copy_is_read_only_and_found_again(cache: Cache) -> None:
    assert cache.find(ITEM) is None
    path = cache.add(ITEM, payload)
    assert cache.find(ITEM) == path
    assert path.read_bytes() == b"payload"
    assert path.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("data", [b"", b"pay", b"another"], ids=["empty", "cut off", "other bytes"])
def test_a_spoilt_copy_is_removed_and_not_given(cache: Cache, data: bytes) -> None:
    path = cache.add(ITEM, payload)
    assert cache.find(ITEM) == path, "once believed, it is looked at again when it changed"
    spoilt(path, data)
    assert cache.find(ITEM) is None
    assert not path.exists()


def test_a_large_copy_is_believed_by_its_size_alone(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "CHEAP", 3)
    path = cache.add(ITEM, payload)
    monkeypatch.setattr(cache_module, "digest", lambda path: pytest.fail("14 GB are not read for this"))
    assert cache.find(ITEM) == path
    spoilt(path, b"cut")
    assert cache.find(ITEM) is None


def test_bytes_are_on_the_disk_before_they_have_their_name(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).suffix)
        if synced == [".part"]:
            assert not (cache.objects / ITEM.sha256).exists()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    cache.add(ITEM, payload)
    assert synced == [".part", ""], "the file, then the folder"


def test_what_is_not_the_object_leaves_nothing(cache: Cache) -> None:
    with pytest.raises(ValueError, match="it has sha256"):
        cache.add(ITEM, lambda file: file.write(b"another"))
    assert list(cache.objects.iterdir()) == []


def test_what_killed_downloads_left_goes_and_what_others_download_stays(cache: Cache) -> None:
    cache.objects.mkdir(parents=True)
    old, new = cache.objects / "0.1.2.part", cache.objects / "1.1.2.part"
    old.touch()
    new.touch()
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    cache.drop_abandoned()
    assert list(cache.objects.iterdir()) == [new]


def test_a_folder_holds_links_and_a_spoilt_one_is_replaced(cache: Cache) -> None:
    cache.link(cache.add(ITEM, payload), "v1", "model/weights")
    linked = cache.folder / "folders" / "v1" / "model" / "weights"
    spoilt(linked, b"cut off")
    assert cache.find(ITEM) is None, "it is the same file"
    path = cache.add(ITEM, payload)
    cache.link(path, "v1", "model/weights")
    assert linked.read_bytes() == b"payload"
    assert linked.samefile(path)
    assert not list(cache.objects.glob("*.part"))


def test_a_finished_file_becomes_the_copy_unless_it_changed(cache: Cache, tmp_path: Path) -> None:
    mine = tmp_path / "work"
    mine.write_bytes(b"payload and more")
    cache.keep(mine, ITEM)
    assert cache.find(ITEM) is None
    mine.write_bytes(b"payload")
    cache.keep(mine, ITEM)
    assert not mine.exists(), "moved, not copied"
    assert cache.find(ITEM) is not None

"""The object store against a real S3 server, and what a user reads when it cannot be used."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import BinaryIO

import pytest

from infra.contract.disk import DiskFull
from infra.environment import Environment, add_stack
from infra.store import Damaged, Ref, Store, StoreError
from infra.store.bucket import sha256
from infra.store.s3 import StoreDown
from tests.servers import SECRET, Weed, small_disk
from tests.stages import commit, manifest

integration = pytest.mark.integration


@integration
def test_what_is_put_is_read_listed_and_deleted(store: Store) -> None:
    store.put("a/one", b"1")
    store.put("a/two", b"2")
    store.put("b/other", b"")
    assert store.get("a/one") == b"1"
    assert store.names("a/") == ["a/one", "a/two"]
    store.delete(store.names("a/"))
    store.delete([])
    assert "b/other" in store.names("")
    assert store.names("a/") == []
    with pytest.raises(StoreError, match="no object 'a/one'"):
        store.get("a/one")


@integration
def test_a_stage_exists_from_the_moment_its_manifest_does(store: Store) -> None:
    item = store.add("pairs.parquet", b"payload", rows=3)
    assert store.find("stages/pairs/k") is None, "payload without a manifest counts for nothing"
    ref = store.commit(manifest("pairs", "k", [item], facts={"rows": 3}))
    assert store.find("stages/pairs/k") == ref
    assert ref.rows == 3
    assert ref.uri == f"{store.uri}stages/pairs/k/manifest.json"
    assert store.manifest(ref).objects == [item]
    assert store.fetch(ref, "pairs.parquet").read_bytes() == b"payload"


@integration
def test_a_second_writer_of_a_stage_gets_the_first_one_and_harms_nothing(store: Store) -> None:
    first = commit(store, "search", "k", {"trees.parquet": b"first"})
    assert commit(store, "search", "k", {"trees.parquet": b"another outcome of the same search"}) == first
    assert store.fetch(first, "trees.parquet").read_bytes() == b"first"


@integration
def test_a_folder_has_the_objects_below_a_prefix_and_is_cached(store: Store) -> None:
    names = {"model/config.json": b"{}", "model/sub/weights": b"w", "model-card.md": b"#", "progress.jsonl": b"p"}
    ref = commit(store, "sft", "k", names)
    folder = store.folder(ref, "model")
    assert folder == store.folder(ref, "model")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.json": b"{}", "sub/weights": b"w"}
    assert (store.folder(ref) / "progress.jsonl").read_bytes() == b"p"
    store.delete(store.names("objects/"))
    assert store.fetch(ref, "model/config.json").read_bytes() == b"{}", "from the cache: its digest says what it is"


@integration
def test_equal_objects_are_stored_once_and_lie_once_on_this_machine(store: Store, tmp_path: Path) -> None:
    big = tmp_path / "model.safetensors"
    big.write_bytes(b"0123456789abcdef" * (1 << 20))  # 16 MiB: uploaded in parts
    base = commit(store, "model", "k", {"model/model.safetensors": big, "model/config.json": b"{}"})
    trained = commit(store, "sft", "k", {"model/model.safetensors": big, "copy": big, "summary.json": b"{}"})
    assert sorted(head.size for head in store.listed("objects/").values()) == [2, 16 << 20]
    places = [store.folder(base, "model"), store.folder(trained, "model")]
    assert places[0] != places[1]
    one, other, third = (*(place / "model.safetensors" for place in places), store.fetch(trained, "copy"))
    assert one.read_bytes() == big.read_bytes()
    assert one.samefile(other)
    assert one.samefile(third)


@integration
def test_a_file_that_changes_while_it_is_stored_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"as it was digested")
    upload = store.upload

    def edited(name: str, file: BinaryIO) -> None:
        path.write_bytes(b"as it is now")
        upload(name, file)

    monkeypatch.setattr(store, "upload", edited)
    with pytest.raises(StoreError, match="was changed while it was stored"):
        store.add("weights", path)


@integration
def test_changed_bytes_are_refused(store: Store) -> None:
    ref = commit(store, "pairs", "damaged", {"pairs.parquet": b"payload"})
    (place,) = store.names("objects/")
    for damaged in (b"painted", b"of another size"):
        store.put(place, damaged)
        with pytest.raises(Damaged, match="cpl verify --deep --drop"):
            store.fetch(ref, "pairs.parquet")
    assert not [path for path in store.cache.folder.rglob("*") if path.is_file()]
    other = manifest("pairs", "damaged", [], facts={"rows": 7})
    store.put("stages/pairs/damaged/manifest.json", other.encoded())
    store._manifests.clear()
    with pytest.raises(StoreError, match="changed after it was committed"):
        store.manifest(ref)


@integration
def test_a_stage_that_lost_an_object_is_made_again_as_the_same_version(store: Store) -> None:
    payload = {"trees.parquet": b"trees", "nodes.parquet": b"nodes"}
    ref = commit(store, "search", "k", payload)
    store.delete([f"objects/{sha256(b'nodes')}"])
    told: list[str] = []
    assert store.find("stages/search/k", told.append) is None
    assert "'nodes.parquet'" in told[0]
    objects = [store.add(name, data) for name, data in payload.items()]
    again = store.commit(manifest("search", "k", objects, seconds=9.0, run_id="a later run", code="0.2.0"))
    assert again == ref, "what depends on it is not made again"
    assert store.find("stages/search/k") == ref
    other = [store.add("trees.parquet", b"other trees")]
    store.delete([f"objects/{sha256(b'trees')}"])
    assert store.commit(manifest("search", "k", other)) != ref


@integration
@pytest.mark.parametrize("torn", [b"", b'{"step": "search", "vers', b"\x00" * 300])
def test_a_torn_manifest_counts_as_none_and_is_replaced(store: Store, torn: bytes) -> None:
    store.client.put_object(Bucket=store.bucket, Key=f"{store.prefix}stages/search/k/manifest.json", Body=torn)
    told: list[str] = []
    assert store.find("stages/search/k", told.append) is None
    assert "counts as none" in told[0]
    ref = commit(store, "search", "k", {"trees": b"t"})
    assert store.find("stages/search/k") == ref
    assert store.fetch(ref, "trees").read_bytes() == b"t"


@integration
def test_what_was_written_by_the_version_before_is_still_read(store: Store) -> None:
    """Payload below the stage, under a part of its digest; the version is the digest of the manifest's bytes."""
    document = json.loads(manifest("search", "old", []).encoded())
    del document["format"]
    document["objects"] = [{"name": "trees.parquet", "size": 5, "sha256": sha256(b"trees"), "rows": 1}]
    data = json.dumps(document | {"facts": {"rows": 1}}).encode()
    store.put(f"stages/search/old/{sha256(b'trees')[:16]}/trees.parquet", b"trees")
    store.put("stages/search/old/manifest.json", data)
    ref = store.find("stages/search/old")
    assert ref == Ref(uri=f"{store.uri}stages/search/old/manifest.json", sha256=sha256(data), rows=1)
    assert store.fetch(ref, "trees.parquet").read_bytes() == b"trees"
    assert store.uri_of(ref, store.manifest(ref).objects[0]).endswith(f"{sha256(b'trees')[:16]}/trees.parquet")


@integration
def test_a_store_that_shows_old_states_is_down_and_not_an_assertion(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, "search", "k", {"trees": b"t"})
    monkeypatch.setattr(store, "read", lambda name: (None, {"IfNoneMatch": "*"}))
    monkeypatch.setattr("infra.store.store.ATTEMPTS", 2)
    with pytest.raises(StoreDown, match="cannot be read yet"):
        store.commit(manifest("search", "k", []))
    assert commit(store, "search", "new", {"trees": b"t"}).rows == 0, "what one wrote oneself need not be read"


@integration
def test_of_eight_racing_creates_one_wins(store: Store) -> None:
    for attempt in range(3):
        gate = threading.Barrier(8)

        def create(writer: int, name: str = f"race/{attempt}", gate: threading.Barrier = gate) -> bool:
            gate.wait()
            return store.put_if(name, str(writer).encode(), {"IfNoneMatch": "*"})

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(create, range(8)))
        assert sum(won) == 1
        assert store.get(f"race/{attempt}") == str(won.index(True)).encode()


@integration
def test_swap_under_contention_loses_nothing(store: Store) -> None:
    def add(number: int) -> Callable[[bytes | None], bytes]:
        return lambda now: json.dumps(sorted({*json.loads(now or b"[]"), number})).encode()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: store.swap("latest.json", add(number)), range(30)))
    assert json.loads(store.get("latest.json")) == list(range(30))


@integration
def test_a_full_cache_names_the_folder_and_keeps_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = commit(store, "big", "k", {"weights": b"x" * 100_000})
    download = store.download
    with monkeypatch.context() as patch, open("/dev/full", "wb") as full:
        patch.setattr(store, "download", lambda name, size, _: download(name, size, full))
        with pytest.raises(DiskFull, match="CPL_HOME") as problem:
            store.fetch(ref, "weights")
    assert str(store.cache.folder) in str(problem.value)
    assert not [path for path in store.cache.folder.rglob("*") if path.is_file()]
    assert store.fetch(ref, "weights").stat().st_size == 100_000


@integration
def test_a_server_on_a_full_disk_is_told_as_that_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Weed(tmp_path)
    data = tmp_path / "data"
    on_small_disk = [*small_disk(data, mib=64), "sh", "-c", 'head -c 48M /dev/zero > data/hog && exec "$@"', "sh"]
    server.command = [*on_small_disk, *server.command, "-volume.minFreeSpace=1MiB"]
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    try:
        server.start()
        store = Store.open(Environment(home=tmp_path / "home"))

        def stored(number: int, size: int) -> Ref:
            return commit(store, "sft", f"{number}", {"t": bytes([number]) * size})

        committed = [stored(0, 3 << 20), stored(1, 3 << 20), stored(2, 3 << 20)]
        with pytest.raises(StoreDown, match=r"'objects/.*its disk is full: make room"):
            stored(3, 9 << 20)
        assert store.find("stages/sft/3") is None
        process = server.part.process()
        assert process is not None
        Path(f"/proc/{process.pid}/root{data}/hog").unlink()  # the disk is there for the server alone
        committed.append(stored(3, 9 << 20))
        assert [store.find(f"stages/sft/{number}") for number in range(4)] == committed
        assert [store.fetch(ref, "t").stat().st_size >> 20 for ref in committed] == [3, 3, 3, 9]
    finally:
        server.part.end(patience=0.1)


@integration
def test_a_wrong_secret_is_refused_without_being_told(
    weed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (weed | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="AWS_SECRET_ACCESS_KEY") as problem:
        Store.open(Environment(home=tmp_path))
    assert weed["AWS_ENDPOINT_URL"] in str(problem.value)
    assert "'cpl'" in str(problem.value)
    assert "not-the-secret" not in str(problem.value)
    assert SECRET not in str(problem.value)


@integration
@pytest.mark.parametrize(("minutes", "told"), [(61, "6[01] minutes ahead of the store"), (-61, "6[01] minutes behind")])
def test_a_clock_that_is_wrong_is_told_as_one_and_no_key_is_blamed(
    minutes: int, told: str, weed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in weed.items():
        monkeypatch.setenv(name, value)
    wrong = datetime.now(UTC) + timedelta(minutes=minutes)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return wrong

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: wrong.replace(tzinfo=None))
    monkeypatch.setattr("infra.store.s3.datetime", Clock)
    with pytest.raises(StoreError, match=told) as problem:
        Store.open(Environment(home=tmp_path))
    assert "AWS_SECRET_ACCESS_KEY" not in str(problem.value)


@integration
def test_a_killed_server_has_kept_what_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Weed(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    try:
        server.start()
        store = Store.open(Environment(home=tmp_path / "home"))
        committed = [commit(store, "search", f"{n}", {"t": bytes([n]) * 1000}) for n in range(20)]
        store.add("t", b"half-written")
        server.kill()
        begun = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            store.get("stages/search/0/manifest.json")
        assert time.monotonic() - begun < 10
        server.start()
        store = Store.open(Environment(home=tmp_path / "home"))
        assert [store.find(f"stages/search/{n}") for n in range(20)] == committed
        assert all(store.fetch(ref, "t").read_bytes() == bytes([n]) * 1000 for n, ref in enumerate(committed))
        assert store.find("stages/search/half") is None
    finally:
        server.part.end(patience=0.1)


@integration
@pytest.mark.timeout(300)
def test_after_a_power_loss_a_torn_stage_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server lists what it has lost: it wrote its index, and the bytes had not reached the disk."""
    server = Weed(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    try:
        server.start()
        store = Store.open(Environment(home=tmp_path / "home"))
        safe = commit(store, "search", "safe", {"t": b"safe"})
        on_disk = {volume: volume.stat().st_size for volume in (tmp_path / "data").glob("*.dat")}
        commit(store, "search", "torn", {"t": b"torn"})
        server.kill()
        for volume, size in on_disk.items():
            os.truncate(volume, size)
        server.start()
        store = Store.open(Environment(home=tmp_path / "home"))
        store.client = store.impatient  # the patient one waits 40 s for what is gone
        told: list[str] = []
        assert store.find("stages/search/safe") == safe
        assert store.find("stages/search/torn", told.append) is None
        assert "its bytes are gone" in told[0]
        again = commit(store, "search", "torn", {"t": b"torn"})
        assert store.find("stages/search/torn") == again
        assert store.fetch(again, "t").read_bytes() == b"torn"
    finally:
        server.part.end(patience=0.1)


@pytest.mark.parametrize("listens", [False, True], ids=["closed port", "port that never answers"])
def test_an_unreachable_store_fails_within_ten_seconds(
    listens: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if listens:
            deaf.listen()
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
        begun = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached") as problem:
            Store.open(Environment(home=tmp_path, store="s3://my-bucket/some/prefix"))
    assert time.monotonic() - begun < 10
    assert endpoint in str(problem.value)
    assert "my-bucket" in str(problem.value)
    assert "cpl up" in str(problem.value)


@pytest.mark.parametrize("address", ["cpl", "s3://", "file:///cpl"])
def test_an_address_that_is_not_a_bucket_is_refused(address: str) -> None:
    with pytest.raises(StoreError, match="CPL_STORE"):
        Store.open(Environment(store=address))


def test_the_stack_brings_its_own_keys_unless_the_user_brings_a_store() -> None:
    stack = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "stack", "PREFECT_API_URL": "stack"}
    other_keys = {"AWS_ACCESS_KEY_ID": "of-another-service", "AWS_SESSION_TOKEN": "theirs", "PREFECT_API_URL": "own"}
    add_stack(other_keys, stack)
    assert other_keys == stack | {"PREFECT_API_URL": "own"}
    own_store = {"AWS_ENDPOINT_URL": "https://s3.example", "AWS_ACCESS_KEY_ID": "own"}
    add_stack(own_store, stack)
    assert own_store == {
        "AWS_ENDPOINT_URL": "https://s3.example",
        "AWS_ACCESS_KEY_ID": "own",
        "PREFECT_API_URL": "stack",
    }


@pytest.mark.parametrize("keys", [{"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own"}, {"AWS_PROFILE": "own"}])
def test_a_bucket_of_the_user_is_reached_with_nothing_of_the_stack(keys: dict[str, str]) -> None:
    stack = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "stack", "AWS_REGION": "stack"}
    own = {"CPL_STORE": "s3://bucket/prefix"} | keys
    environment = dict(own)
    add_stack(environment, stack | {"PREFECT_API_URL": "stack"})
    assert environment == own | {"PREFECT_API_URL": "stack"}


def test_what_the_stack_added_is_not_mistaken_for_the_users() -> None:
    stack = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "stack"}
    for own in ({}, {"CPL_STORE": "s3://bucket"}):
        once: dict[str, str] = dict(own)
        add_stack(once, stack)
        twice = dict(once)  # as in a flow: it has the worker's environment, and reads the stack's again
        add_stack(twice, stack)
        assert twice == once

"""The object store against a real S3 server, and what a user reads when it cannot be used."""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.disk import DiskFull
from infra.settings import Settings, add_stack
from infra.store import Manifest, Ref, Store, StoredObject, StoreError
from tests.servers import SECRET, Weed, small_disk

integration = pytest.mark.integration


def manifest(objects: list[StoredObject], **facts: object) -> Manifest:
    return Manifest(
        step="pairs",
        version=1,
        key="k",
        created_at=datetime.now(UTC),
        seconds=1.5,
        run_id="run",
        code="0.1.0",
        config={"seed": 1},
        inputs={},
        objects=objects,
        facts=facts,
    )


@integration
def test_what_is_put_is_read_listed_and_deleted(store: Store, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(b"0123456789abcdef" * (1 << 20))  # 16 MiB: uploaded in parts
    assert store.put("a/one", b"1").size == 1
    stored = store.put("a/two", big)
    assert store.get("a/one") == b"1"
    assert store.get("a/two") == big.read_bytes()
    assert (stored.name, stored.size) == ("a/two", 16 << 20)
    store.put("b/other", b"")
    assert store.names("a/") == ["a/one", "a/two"]
    store.delete(store.names("a/"))
    store.delete([])
    assert store.names("") == ["b/other"]


@integration
def test_a_stage_exists_from_the_moment_its_manifest_does(store: Store) -> None:
    prefix = "stages/pairs/k"
    item = store.add(prefix, "pairs.parquet", b"payload", rows=3)
    assert store.find(prefix) is None, "payload without a manifest counts for nothing"
    ref = store.commit(prefix, manifest([item], rows=3))
    assert store.find(prefix) == ref
    assert ref.rows == 3
    assert ref.uri == f"{store.uri}{prefix}/manifest.json"
    assert store.manifest(ref).objects == [item]
    assert store.fetch(ref, "pairs.parquet").read_bytes() == b"payload"


@integration
def test_a_second_writer_of_a_stage_gets_the_first_one_and_harms_nothing(store: Store) -> None:
    prefix = "stages/search/k"
    first = store.commit(prefix, manifest([store.add(prefix, "trees.parquet", b"first")]))
    late = store.add(prefix, "trees.parquet", b"another outcome of the same search")
    assert store.commit(prefix, manifest([late])) == first
    assert store.fetch(first, "trees.parquet").read_bytes() == b"first"


@integration
def test_a_folder_has_the_objects_below_a_prefix_and_is_cached(store: Store) -> None:
    prefix = "stages/sft/k"
    names = {"model/config.json": b"{}", "model/sub/weights": b"w", "model-card.md": b"#", "progress.jsonl": b"p"}
    ref = store.commit(prefix, manifest([store.add(prefix, name, data) for name, data in names.items()]))
    folder = store.folder(ref, "model")
    assert folder == store.folder(ref, "model")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.json": b"{}", "sub/weights": b"w"}
    assert (store.folder(ref) / "progress.jsonl").read_bytes() == b"p"
    store.delete(name for name in store.names(prefix) if not name.endswith("manifest.json"))
    assert store.fetch(ref, "model/config.json").read_bytes() == b"{}", "from the cache: its digest says what it is"


@integration
def test_changed_bytes_are_refused(store: Store) -> None:
    prefix = "stages/pairs/damaged"
    item = store.add(prefix, "pairs.parquet", b"payload")
    ref = store.commit(prefix, manifest([item]))
    (place,) = [name for name in store.names(prefix) if name.endswith("pairs.parquet")]
    store.put(place, b"other bytes")
    with pytest.raises(StoreError, match="damaged"):
        store.fetch(ref, "pairs.parquet")
    assert not list(store.cache.rglob("*.part"))
    store.put(f"{prefix}/manifest.json", manifest([]).model_dump_json().encode())
    with pytest.raises(StoreError, match="changed after it was committed"):
        store.manifest(ref)


@integration
def test_of_eight_racing_creates_one_wins(store: Store) -> None:
    for attempt in range(3):
        gate = threading.Barrier(8)

        def create(writer: int, name: str = f"race/{attempt}", gate: threading.Barrier = gate) -> bool:
            gate.wait()
            return store.create(name, str(writer).encode())

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
    ref = store.commit("stages/big/k", manifest([store.add("stages/big/k", "weights", b"x" * 100_000)]))
    download = store._download
    with monkeypatch.context() as patch:
        patch.setattr(store, "_download", lambda name, _: download(name, Path("/dev/full")))
        with pytest.raises(DiskFull, match="CPL_HOME") as problem:
            store.fetch(ref, "weights")
    assert str(store.cache) in str(problem.value)
    assert not [path for path in store.cache.rglob("*") if path.is_file()]
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
        store = Store.open(Settings(home=tmp_path / "home"))

        def commit(number: int, size: int) -> Ref:
            prefix = f"stages/sft/{number}"
            return store.commit(prefix, manifest([store.add(prefix, "t", bytes([number]) * size)]))

        committed = [commit(0, 3 << 20), commit(1, 3 << 20), commit(2, 3 << 20)]
        with pytest.raises(StoreError, match=r"'stages/sft/3/.*its disk is full: make room"):
            commit(3, 9 << 20)
        assert store.find("stages/sft/3") is None
        process = server.part.process()
        assert process is not None
        Path(f"/proc/{process.pid}/root{data}/hog").unlink()  # the disk is there for the server alone
        committed.append(commit(3, 9 << 20))
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
        Store.open(Settings(home=tmp_path))
    assert weed["AWS_ENDPOINT_URL"] in str(problem.value)
    assert "'cpl'" in str(problem.value)
    assert "not-the-secret" not in str(problem.value)
    assert SECRET not in str(problem.value)


@integration
def test_a_killed_server_has_kept_what_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Weed(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    try:
        server.start()
        store = Store.open(Settings(home=tmp_path / "home"))
        committed = [
            store.commit(f"stages/search/{n}", manifest([store.add(f"stages/search/{n}", "t", bytes([n]) * 1000)]))
            for n in range(20)
        ]
        store.add("stages/search/half", "t", b"half-written")
        server.kill()
        begun = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            store.get("stages/search/0/manifest.json")
        assert time.monotonic() - begun < 10
        server.start()
        store = Store.open(Settings(home=tmp_path / "home"))
        assert [store.find(f"stages/search/{n}") for n in range(20)] == committed
        assert all(store.fetch(ref, "t").read_bytes() == bytes([n]) * 1000 for n, ref in enumerate(committed))
        assert store.find("stages/search/half") is None
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
            Store.open(Settings(home=tmp_path, store="s3://my-bucket/some/prefix"))
    assert time.monotonic() - begun < 10
    assert endpoint in str(problem.value)
    assert "my-bucket" in str(problem.value)
    assert "cpl up" in str(problem.value)


@pytest.mark.parametrize("address", ["cpl", "s3://", "file:///cpl"])
def test_an_address_that_is_not_a_bucket_is_refused(address: str) -> None:
    with pytest.raises(StoreError, match="CPL_STORE"):
        Store.open(Settings(store=address))


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

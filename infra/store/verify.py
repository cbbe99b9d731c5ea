"""Checks that everything published can be read: pointers, their manifests, and every object of these.

A manifest names its objects and its inputs by digest. So the digest of a round's own manifest, which its pointer holds,
proves all that the round is made of, and nothing else has to be believed.
"""

import hashlib
import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from infra.contract.faults import described
from infra.store.garbage import READS_AT_ONCE, is_manifest, read_all
from infra.store.manifest import Manifest, Ref
from infra.store.rounds import Publication
from infra.store.s3 import StoreDown, StoreError
from infra.store.store import Damaged, Store


class Fault(NamedTuple):
    """Something that cannot be read."""

    name: str
    """Of the object in the store."""
    problem: str
    rounds: tuple[str, ...]
    """The published rounds that need it, e.g. demo/0001."""
    is_useless: bool
    """Nobody can use the object as it is: without it, its stage is made again when a round asks for it."""


class Wanted(NamedTuple):
    """An object as manifests name it."""

    place: str
    size: int
    sha256: str
    rows: int | None
    """Of a table as Parquet."""


NOT_THERE = "it is not there"


def faults(store: Store, deep: bool = False) -> Iterator[Fault]:
    """What is wrong, pointers first. `deep`: with digest and rows of every object, which reads the whole store once.

    Raises:
        StoreDown: when the store does not answer.
    """
    needed: dict[str, set[str]] = {}
    for name in [*store.names("rounds/"), *store.names("campaigns/")]:
        yield from _follow(store, name, needed)
    yield from _unread(store, [name for name in store.names("stages/") if is_manifest(name)], needed, deep)


def faults_of(store: Store, published: Publication) -> Iterator[Fault]:
    """What is wrong with a published round and all that it was made of, its earlier rounds too, byte for byte.

    Raises:
        StoreDown: when the store does not answer.
    """
    needed: dict[str, set[str]] = {}
    yield from _trace(store, _label(published), published.manifest, needed)
    yield from _unread(store, list(needed), needed, deep=True)


def _unread(store: Store, names: list[str], needed: dict[str, set[str]], deep: bool) -> Iterator[Fault]:
    """What of these manifests and of their objects cannot be read."""
    read = read_all(store, names)
    for name, problem in read.items():
        if isinstance(problem, StoreError):
            yield Fault(name, str(problem), _rounds(needed, name), is_useless=True)
    manifests = {name: found for name, found in read.items() if isinstance(found, Manifest)}
    users: dict[Wanted, list[str]] = {}
    for name, manifest in manifests.items():
        for item in manifest.objects:
            users.setdefault(Wanted(manifest.place(item), item.size, item.sha256, item.rows), []).append(name)
    with ThreadPoolExecutor(READS_AT_ONCE) as threads:
        found = threads.map(lambda wanted: _wrong(store, wanted, deep), users)
        for (wanted, stages), wrong in zip(users.items(), found, strict=True):
            if wrong:
                rounds = tuple(sorted({one for stage in stages for one in needed.get(stage, ())}))
                needs = f"{wrong}; the stages {', '.join(stages)} need it"
                yield Fault(wanted.place, needs, rounds, is_useless=wrong != NOT_THERE)


def _follow(store: Store, name: str, needed: dict[str, set[str]]) -> Iterator[Fault]:
    """Notes all manifests that a pointer leads to as needed by its round."""
    campaign = name.split("/")[1]
    try:
        pointer = Publication.model_validate_json(store.get(name))
    except ValidationError as problem:
        yield Fault(name, f"it is no pointer: {described(problem, most=3)}", (), is_useless=True)
        return
    except StoreDown:
        raise
    except StoreError as problem:
        yield Fault(name, str(problem), (), is_useless=True)
        return
    yield from _trace(store, _label(pointer, campaign), pointer.manifest, needed)


def _label(published: Publication, campaign: str = "") -> str:
    return f"{campaign or published.campaign}/{published.round:04d}"


def _trace(store: Store, label: str, manifest: Ref, needed: dict[str, set[str]]) -> Iterator[Fault]:
    """Notes all manifests that a round was made of as needed by it; each must have the digest by which it is named."""
    waiting: list[Ref] = [manifest]
    while waiting:
        ref = waiting.pop()
        place = ref.uri.removeprefix(store.uri)
        if label in needed.setdefault(place, set()):
            continue
        needed[place].add(label)
        try:
            waiting.extend(store.manifest(ref).inputs.values())
        except StoreDown:
            raise
        except StoreError as problem:
            yield Fault(place, str(problem), (label,), is_useless=False)


def _wrong(store: Store, wanted: Wanted, deep: bool) -> str | None:
    found = store.head(wanted.place)
    if found is None:
        return NOT_THERE
    if found.size != wanted.size:
        return f"it has {found.size} bytes, not {wanted.size}"
    if not deep:
        return None
    with tempfile.TemporaryFile() as copy:
        sink = _Digest(None if wanted.rows is None else copy)
        try:
            store.download(wanted.place, wanted.size, sink)
        except Damaged as problem:
            return str(problem)
        sha256 = sink.digest.hexdigest()
        if sha256 != wanted.sha256:
            return f"its sha256 is {sha256}"
        return None if wanted.rows is None else _miscounted(copy, wanted.rows)


def _miscounted(table: IO[bytes], rows: int) -> str | None:
    try:
        held = pq.ParquetFile(table).metadata.num_rows
    except pa.ArrowException as problem:
        return f"it is no table: {problem}"
    return f"it has {held} rows, not {rows}" if held != rows else None


class _Digest(io.BytesIO):
    """A file that is digested instead of kept, or kept in `copy` as well."""

    def __init__(self, copy: IO[bytes] | None) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self.copy = copy

    def seekable(self) -> bool:
        """No: so it gets its bytes in their order."""
        return False

    def write(self, data: Any) -> int:
        self.digest.update(data)
        if self.copy is not None:
            self.copy.write(data)
        return len(data)


def _rounds(needed: dict[str, set[str]], name: str) -> tuple[str, ...]:
    return tuple(sorted(needed.get(name, ())))

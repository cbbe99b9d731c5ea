"""The object store: S3 through one boto3 client; a manifest is the commit (design D6).

A stage's payload is written first, its manifest last. So a manifest means a whole stage, and a half-written stage
counts for nothing. Payload objects lie under their own digest: equal ones are stored once, and no writer can change
what a manifest lists.

    <store>/objects/<sha256>      <store>/stages/<stage>/<key>/manifest.json
"""

import functools
import io
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from infra.digest import digest
from infra.environment import Environment
from infra.store.bucket import ATTEMPTS, Bucket, Damaged, sha256
from infra.store.cache import Cache
from infra.store.conditions import prove
from infra.store.manifest import MANIFEST, Manifest, ManifestTorn, Ref, StoredObject, place_of, read_manifest
from infra.store.s3 import StoreDown, StoreError, code_of, connect

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Damaged", "Manifest", "Ref", "Store", "StoreError", "StoredObject"]

HEADS_AT_ONCE = 16


class Store(Bucket):
    """Stages in a bucket, and verified copies of their objects in the cache of this machine's `home`."""

    def __init__(
        self, client: "S3Client", bucket: str, prefix: str, home: Path, impatient: "S3Client | None" = None
    ) -> None:
        super().__init__(client, bucket, prefix, impatient)
        self.cache = Cache(home.absolute() / "cache")
        self._manifests: dict[Ref, Manifest] = {}

    @classmethod
    def open(cls, here: Environment) -> "Store":
        """The store of the environment, verified to answer and to honour conditions; a missing bucket is created.

        A process opens it once for each address and key: clients cost 0.1 s of CPU time.

        Raises:
            StoreError: within 10 seconds, when it cannot be used.
        """
        keys = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
        return cls._opened(here.store, here.store_encryption, here.home.absolute(), keys)

    @classmethod
    @functools.lru_cache(maxsize=8)
    def _opened(cls, address: str, encryption: str | None, home: Path, keys: tuple[tuple[str, str], ...]) -> "Store":
        """`keys` are the variables that boto3 reads when its clients are made."""
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not address.startswith("s3://") or not bucket:
            raise StoreError(f"CPL_STORE is {address!r}; it must read s3://BUCKET or s3://BUCKET/PREFIX")
        prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        client, impatient_client = connect(encryption)
        impatient = cls(impatient_client, bucket, prefix, home)
        with impatient._explained():
            try:
                impatient.client.head_bucket(Bucket=bucket)
            except ClientError as problem:
                if code_of(problem) != "404":
                    raise
                impatient._create()
            prove(impatient_client, bucket, prefix)
        store = cls(client, bucket, prefix, home, impatient_client)
        store.cache.drop_abandoned()
        return store

    def add(self, name: str, data: bytes | Path, rows: int | None = None) -> StoredObject:
        """Writes one payload object, for the `objects` of a manifest.

        An equal one is written over, so that it is whole and new: `cpl gc` removes old ones that no manifest names.

        Raises:
            StoreError: when the file was changed meanwhile; its digest would not be that of what was stored.
        """
        if isinstance(data, bytes):
            item = StoredObject(name=name, size=len(data), sha256=sha256(data), rows=rows)
            self.upload(place_of(item.sha256), io.BytesIO(data))
            return item
        before = data.stat()
        item = StoredObject(name=name, size=before.st_size, sha256=digest(data), rows=rows)
        with data.open("rb") as file:
            self.upload(place_of(item.sha256), file)
        after = data.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise StoreError(f"{data} was changed while it was stored as {name!r}: retry the flow run")
        return item

    def commit(self, manifest: Manifest) -> Ref:
        """Makes a stage exist. When somebody did so before, theirs is what counts, if it is whole.

        Raises:
            StoreDown: when the store shows one state and writes on another (a lagging replica).
        """
        name = f"{manifest.prefix}/{MANIFEST}"
        if lost := self._lost(manifest):
            raise StoreDown(f"{self.uri}: {lost} was written and is not there any more: the stage cannot be committed")
        for _ in range(ATTEMPTS):
            ref, condition = self._look(manifest.prefix, lambda problem: None)
            if ref is not None:
                return ref
            if self.put_if(name, manifest.encoded(), condition):
                manifest, ref = read_manifest(manifest.encoded(), self.uri + name)
                self._manifests[ref] = manifest
                return ref
            time.sleep(0.1)
        raise StoreDown(f"{self.uri}{name} is written by somebody else, and cannot be read yet")

    def find(self, prefix: str, tell: Callable[[str], object] = lambda problem: None) -> Ref | None:
        """The stage committed below `prefix`, if there is one and all of its objects are there.

        `tell` gets what is wrong with one that does not count.

        Raises:
            ManifestRefused: when its manifest is not one that the factory would have written.
        """
        return self._look(prefix, tell)[0]

    def manifest(self, ref: Ref) -> Manifest:
        """The manifest of a stage, checked and its digest verified."""
        if ref not in self._manifests:
            if not ref.uri.startswith(self.uri):
                raise StoreError(f"{ref.uri} lies outside of the store {self.uri} (CPL_STORE)")
            manifest, found = read_manifest(self.get(ref.uri.removeprefix(self.uri)), ref.uri)
            if found.sha256 != ref.sha256:
                raise StoreError(
                    f"{ref.uri} has version {found.sha256}, not {ref.sha256}: it was changed after it was committed"
                )
            self._manifests[ref] = manifest
        return self._manifests[ref]

    def uri_of(self, ref: Ref, item: StoredObject) -> str:
        """Where an object of a stage lies, as s3://…"""
        return self.uri + self.manifest(ref).place(item)

    def fetch(self, ref: Ref, name: str) -> Path:
        """A verified local copy of one object of a stage, cached by its digest. Not to be written to.

        Raises:
            StoreError: when the stage has no such object, or the store has lost or damaged it.
            DiskFull: when there is no room for the copy.
        """
        items = {item.name: item for item in self.manifest(ref).objects}
        if name not in items:
            raise StoreError(f"{ref.uri} has no object {name!r}; it has {', '.join(items) or 'none'}")
        return self._fetch(ref, items[name])

    def folder(self, ref: Ref, prefix: str = "") -> Path:
        """A local folder of a stage's objects, or of those below `prefix`, e.g. a model. Not to be written to."""
        start = f"{prefix}/" if prefix else ""
        items = [item for item in self.manifest(ref).objects if item.name.startswith(start)]
        if not items:
            raise StoreError(f"{ref.uri} has no object below {start!r}")
        for item in items:
            self.cache.link(self._fetch(ref, item), ref.sha256, item.name)
        return self.cache.folder / "folders" / ref.sha256 / prefix

    def _fetch(self, ref: Ref, item: StoredObject) -> Path:
        if copy := self.cache.find(item):
            return copy
        manifest = self.manifest(ref)
        place = manifest.place(item)
        try:
            return self.cache.add(item, lambda file: self.download(place, item.size, file))
        except (Damaged, ValueError) as problem:
            raise Damaged(
                f"{item.name!r} of {ref.uri} was lost or damaged: {self.uri}{place}: {problem}. `cpl verify --deep "
                f"--drop` looks for more and removes what is damaged. Then retry the flow run, or run the round again "
                f"that made it: the stage {manifest.stage!r} makes it anew"
            ) from problem

    def _look(self, prefix: str, tell: Callable[[str], object]) -> tuple[Ref | None, Mapping[str, str]]:
        """The whole stage below `prefix`, if there is one, and the condition under which it is still so."""
        name = f"{prefix}/{MANIFEST}"
        try:
            data, condition = self.read(name)
            if data is None:
                return None, condition
            manifest, ref = read_manifest(data, self.uri + name)
        except (Damaged, ManifestTorn) as problem:
            tell(f"{problem}: it counts as none, and the stage is made again")
            return None, self.as_it_is(name)
        if lost := self._lost(manifest):
            tell(f"{ref.uri} lists {lost}, which the store has lost: the stage is made again")
            return None, condition
        self._manifests[ref] = manifest
        return ref, condition

    def _lost(self, manifest: Manifest) -> str:
        """The objects of a stage that are not there with their sizes, in words."""
        places = {manifest.place(item): item for item in manifest.objects}
        with ThreadPoolExecutor(HEADS_AT_ONCE) as threads:
            there = dict(zip(places, threads.map(self.head, places), strict=True))
        sizes = {place: head.size if head else None for place, head in there.items()}
        return ", ".join(repr(item.name) for place, item in places.items() if sizes[place] != item.size)

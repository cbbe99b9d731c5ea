"""The object store: S3 through one boto3 client; a manifest is the commit (design D6).

A stage's payload is written first and its manifest last, create-once, so whoever finds a manifest finds a whole
stage, and a half-written one counts for nothing. Payload objects lie below their own digest: a second writer of
the same stage (a retry beside a process that was thought dead) can never overwrite what a manifest lists.

    <store>/stages/<step>/<key>/<digest>/<name>      <store>/stages/<step>/<key>/manifest.json
"""

import functools
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from infra.disk import room_in
from infra.s3 import CONFLICT, MISSING, TAKEN, StoreError, code_of, connect, explained
from infra.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Manifest", "Ref", "Store", "StoreError", "StoredObject"]

MANIFEST = "manifest.json"
PAGE = 1 << 20


class Ref(BaseModel):
    """A committed stage: what tasks hand each other instead of data."""

    model_config = ConfigDict(frozen=True)

    uri: str
    """s3://… of the manifest."""
    sha256: str
    """Of the manifest's bytes: the stage's version."""
    rows: int
    """Of the stage's main table; 0 for models."""


class StoredObject(BaseModel):
    """One object of a stage."""

    model_config = ConfigDict(frozen=True)

    name: str
    """For a stage's payload relative to the stage, as its writer named it."""
    size: int
    sha256: str
    rows: int | None = None


class Manifest(BaseModel):
    """What a stage is, where it came from, and every object it consists of."""

    model_config = ConfigDict(frozen=True)

    step: str
    version: int
    key: str
    created_at: datetime
    seconds: float
    run_id: str
    code: str
    """Git revision or package version that made it."""
    config: dict[str, Any]
    inputs: dict[str, Ref]
    objects: list[StoredObject]
    facts: dict[str, Any]
    """What is worth knowing without opening the payload; `rows` are those of the main table."""


class Store:
    """A bucket, or a folder of one. Names are relative to it."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str, home: Path) -> None:
        self.client, self.bucket, self.prefix = client, bucket, prefix
        self.uri = f"s3://{bucket}/{prefix}"
        self.cache = home.absolute() / "cache"

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """The store of the settings, verified to answer; its bucket is created when it does not exist.

        A process opens it once for each address and key: clients cost 0.1 s of CPU time.

        Raises:
            StoreError: within 10 seconds, when it cannot be used.
        """
        keys = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
        return cls._opened(settings.store, settings.home, keys)

    @classmethod
    @functools.lru_cache(maxsize=8)
    def _opened(cls, address: str, home: Path, keys: tuple[tuple[str, str], ...]) -> "Store":
        """`keys` are the variables that boto3 reads when its clients are made."""
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not address.startswith("s3://") or not bucket:
            raise StoreError(f"CPL_STORE is {address!r}; it must read s3://BUCKET or s3://BUCKET/PREFIX")
        prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        client, impatient_client = connect()
        impatient = cls(impatient_client, bucket, prefix, home)
        with impatient._explained():
            try:
                impatient.client.head_bucket(Bucket=bucket)
            except ClientError as problem:
                if code_of(problem) != "404":
                    raise
                impatient._create_bucket()
        return cls(client, bucket, prefix, home)

    def put(self, name: str, data: bytes | Path) -> StoredObject:
        """Writes an object, replacing one of that name. A file is streamed, in parts when it is large."""
        with self._explained(name):
            if isinstance(data, bytes):
                self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data)
                return StoredObject(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            self.client.upload_file(str(data), self.bucket, self.prefix + name)
        return StoredObject(name=name, size=data.stat().st_size, sha256=_digest(data))

    def add(self, prefix: str, name: str, data: bytes | Path, rows: int | None = None) -> StoredObject:
        """Writes one payload object of the stage at `prefix`, for the `objects` of its manifest."""
        sha256 = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else _digest(data)
        stored = self.put(_place(prefix, name, sha256), data)
        return stored.model_copy(update={"name": name, "rows": rows})

    def get(self, name: str) -> bytes:
        with self._explained(name):
            return self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read()

    def names(self, prefix: str) -> list[str]:
        """Names that start with `prefix`, sorted."""
        with self._explained(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            return sorted(o["Key"].removeprefix(self.prefix) for page in pages for o in page.get("Contents", []))

    def delete(self, names: Iterable[str]) -> None:
        keys = [self.prefix + name for name in names]
        with self._explained():
            for start in range(0, len(keys), 1000):
                self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]},
                )

    def create(self, name: str, data: bytes) -> bool:
        """Writes an object that must not exist yet; False when it does. Of any number of racing writers one wins."""
        return self._put_if(name, data, IfNoneMatch="*")

    def swap(self, name: str, update: Callable[[bytes | None], bytes]) -> None:
        """Moves a pointer: writes `update(what is there, or None)`, and starts over when somebody else wrote since.

        `update` may be called several times, and once more when the store's answer was lost: it must be idempotent.
        """
        while True:
            current, condition = self._read_for_swap(name)
            if self._put_if(name, update(current), **condition):
                return

    def commit(self, prefix: str, manifest: Manifest) -> Ref:
        """Makes the stage below `prefix` exist. When somebody did so before, theirs is what counts."""
        self.create(f"{prefix}/{MANIFEST}", manifest.model_dump_json(indent=1).encode())
        ref = self.find(prefix)
        assert ref is not None, f"{prefix} was committed and then deleted"
        return ref

    def find(self, prefix: str) -> Ref | None:
        """The stage committed below `prefix`, if there is one."""
        data, _ = self._read_for_swap(f"{prefix}/{MANIFEST}")
        if data is None:
            return None
        rows = Manifest.model_validate_json(data).facts.get("rows", 0)
        return Ref(uri=f"{self.uri}{prefix}/{MANIFEST}", sha256=hashlib.sha256(data).hexdigest(), rows=rows)

    def manifest(self, ref: Ref) -> Manifest:
        """The manifest of a stage, its digest verified."""
        data = self.get(f"{self._stage(ref)}/{MANIFEST}")
        if (found := hashlib.sha256(data).hexdigest()) != ref.sha256:
            raise StoreError(f"{ref.uri} has sha256 {found}, not {ref.sha256}: it was changed after it was committed")
        return Manifest.model_validate_json(data)

    def uri_of(self, ref: Ref, item: StoredObject) -> str:
        """Where an object of a stage lies, as s3://…"""
        return self.uri + _place(self._stage(ref), item.name, item.sha256)

    def fetch(self, ref: Ref, name: str) -> Path:
        """A verified local copy of one object of a stage, cached by its digest. Not to be written to.

        Raises:
            StoreError: when the store has no such object, or a damaged one.
            DiskFull: when there is no room for the copy.
        """
        items = {item.name: item for item in self.manifest(ref).objects}
        if name not in items:
            raise StoreError(f"{ref.uri} has no object {name!r}; it has {', '.join(items) or 'none'}")
        return self._fetch(ref, items[name])

    def folder(self, ref: Ref, prefix: str = "") -> Path:
        """A local folder of a stage's objects, or of those below `prefix`, e.g. a model. Not to be written to."""
        root = self.cache / "folders" / ref.sha256
        start = f"{prefix}/" if prefix else ""
        items = [item for item in self.manifest(ref).objects if item.name.startswith(start)]
        if not items:
            raise StoreError(f"{ref.uri} has no object below {start!r}")
        for item in items:
            source, target = self._fetch(ref, item), root / item.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                target.hardlink_to(source)
        return root / prefix

    def _fetch(self, ref: Ref, item: StoredObject) -> Path:
        target = self.cache / "objects" / item.sha256
        if target.exists():
            return target
        name = _place(self._stage(ref), item.name, item.sha256)
        part = target.with_name(f"{item.sha256}.{os.getpid()}.{time.monotonic_ns()}.part")
        with room_in(self.cache), self._explained(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                found = self._download(name, part)
                if found != item.sha256:
                    raise StoreError(
                        f"{self.uri}{name} has sha256 {found}, but {ref.uri} lists {item.sha256}: it was damaged. "
                        f"Delete that manifest and run the step again"
                    )
                part.chmod(0o444)
                part.rename(target)
            finally:
                part.unlink(missing_ok=True)
        return target

    def _download(self, name: str, path: Path) -> str:
        """Writes an object to a file and returns its sha256."""
        body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"]
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in body.iter_chunks(PAGE):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _stage(self, ref: Ref) -> str:
        if not ref.uri.startswith(self.uri):
            raise StoreError(f"{ref.uri} lies outside of the store {self.uri} (CPL_STORE)")
        return ref.uri.removeprefix(self.uri).removesuffix(f"/{MANIFEST}")

    def _read_for_swap(self, name: str) -> tuple[bytes | None, dict[str, str]]:
        """An object, or None, and the condition under which it is still that."""
        with self._explained(name):
            try:
                reply = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
                return reply["Body"].read(), {"IfMatch": reply["ETag"]}
            except ClientError as problem:
                if code_of(problem) not in MISSING:
                    raise
                return None, {"IfNoneMatch": "*"}

    def _put_if(self, name: str, data: bytes, **condition: Any) -> bool:
        with self._explained(name):
            while True:
                try:
                    self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data, **condition)
                    return True
                except ClientError as problem:
                    if code_of(problem) in TAKEN or (code_of(problem) in MISSING and "IfMatch" in condition):
                        return False
                    if code_of(problem) not in CONFLICT:
                        raise
                    time.sleep(0.05)

    def _create_bucket(self) -> None:
        try:
            self.client.create_bucket(Bucket=self.bucket)
        except ClientError as problem:
            if code_of(problem) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def _explained(self, name: str = "") -> AbstractContextManager[None]:
        return explained(self.client, self.bucket, name)


def _place(prefix: str, name: str, sha256: str) -> str:
    return f"{prefix}/{sha256[:16]}/{name}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

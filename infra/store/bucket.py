"""Objects in a bucket: whole or not at all, compared with their digests, and moved under conditions.

What a server fails to read is told apart from a server that fails: after a power loss the first happens.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from botocore.exceptions import ClientError

from infra.store.conditions import mark_of
from infra.store.s3 import CONFLICT, MISSING, TAKEN, StoreDown, StoreError, code_of, explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 20
"""At a conditional write against others, 0.1 s apart."""
WAY_OUT = "`cpl verify --drop` removes what cannot be read; then retry the flow run: the stage is made again"


class Damaged(StoreError):
    """The store lists an object whose bytes are gone or changed."""


class Head(NamedTuple):
    """What the store says of an object without sending it."""

    size: int
    etag: str
    modified: datetime


class Bucket:
    """A bucket, or a folder of one. Names are relative to it."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str, impatient: "S3Client | None" = None) -> None:
        self.client, self.bucket, self.prefix = client, bucket, prefix
        self.impatient = impatient or client
        self.uri = f"s3://{bucket}/{prefix}"

    def put(self, name: str, data: bytes) -> None:
        """Writes an object, replacing one of that name. What is read of it later is compared with its digest."""
        with self._explained(name):
            self.client.put_object(
                Bucket=self.bucket, Key=self.prefix + name, Body=data, Metadata={"sha256": sha256(data)}
            )

    def get(self, name: str) -> bytes:
        """What `put` wrote.

        Raises:
            Damaged: when its bytes are gone or others.
            StoreError: when there is no such object.
        """
        try:
            found, _ = self.read(name)
        except Damaged as problem:
            raise Damaged(f"{problem}. {WAY_OUT}") from problem
        if found is None:
            raise StoreError(f"store {self.uri}: there is no object {name!r}")
        return found

    def upload(self, name: str, file: BinaryIO) -> None:
        """Writes an object from an open file, in parts when it is large."""
        with self._explained(name):  # not `upload_file`, which hides what the server said
            self.client.upload_fileobj(file, self.bucket, self.prefix + name)

    def head(self, name: str) -> Head | None:
        """Size and age of an object, if it is there."""
        with self._explained(name):
            try:
                reply = self.client.head_object(Bucket=self.bucket, Key=self.prefix + name)
            except ClientError as problem:
                if code_of(problem) in MISSING:
                    return None
                raise
        return Head(reply["ContentLength"], reply["ETag"], reply["LastModified"])

    def listed(self, prefix: str) -> dict[str, Head]:
        """The objects whose names start with `prefix`, by name, in order."""
        with self._explained(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            found = {
                item["Key"].removeprefix(self.prefix): Head(item["Size"], item["ETag"], item["LastModified"])
                for page in pages
                for item in page.get("Contents", [])
            }
        return dict(sorted(found.items()))

    def names(self, prefix: str) -> list[str]:
        """Names that start with `prefix`, sorted."""
        return list(self.listed(prefix))

    def delete(self, names: Iterable[str]) -> None:
        keys = [self.prefix + name for name in names]
        unprintable = [key for key in keys if not key.isprintable()]  # a list of names in XML cannot hold them
        keys = [key for key in keys if key.isprintable()]
        with self._explained():
            for key in unprintable:
                self.client.delete_object(Bucket=self.bucket, Key=key)
            for start in range(0, len(keys), 1000):
                self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]},
                )

    def uploads(self, before: datetime) -> list[tuple[str, str]]:
        """Name and id of the uploads in parts that were begun before and did not end: they cost room unseen."""
        with self._explained():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=self.prefix)
            return [
                (upload["Key"].removeprefix(self.prefix), upload["UploadId"])
                for page in pages
                for upload in page.get("Uploads", [])
                if upload["Initiated"] < before
            ]

    def abort(self, name: str, upload: str) -> None:
        """Gives up an upload in parts."""
        with self._explained(name):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.prefix + name, UploadId=upload)

    def swap(self, name: str, update: Callable[[bytes | None], bytes]) -> None:
        """Moves a pointer: writes `update(what is there, or None)`, and starts over when somebody else wrote since.

        `update` may be called several times, and once more when the store's answer was lost: it must be idempotent.
        What is there and cannot be read any more is None too.
        """
        for attempt in range(10 * ATTEMPTS):
            time.sleep(min(attempt, 10) * 0.01)
            try:
                current, condition = self.read(name)
            except Damaged:
                current, condition = None, self.as_it_is(name)
            if self.put_if(name, update(current), condition):
                return
        raise StoreDown(f"{self.uri}{name}: others write it all the time")

    def download(self, name: str, size: int, file: BinaryIO) -> None:
        """Writes an object of so many bytes to an open file, in parts side by side when it is large.

        Raises:
            Damaged: when it is not there with that size, or its bytes are gone.
        """
        found = self.head(name)
        if found is None or found.size != size:
            is_now = "is not there" if found is None else f"has {found.size} bytes"
            raise Damaged(f"{self.uri}{name}, an object of {size} bytes, {is_now}")
        try:
            with self._explained(name):
                self.client.download_fileobj(self.bucket, self.prefix + name, file)
        except StoreDown as problem:
            if not self._is_gone(name):
                raise
            raise Damaged(f"{self.uri}{name} cannot be read any more") from problem

    def read(self, name: str) -> tuple[bytes | None, Mapping[str, str]]:
        """An object, or None, and the condition under which it is still that.

        Raises:
            Damaged: when its bytes are gone or others.
        """
        try:
            with self._explained(name):
                try:
                    reply = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
                    data = reply["Body"].read()
                except ClientError as problem:
                    if code_of(problem) not in MISSING:
                        raise
                    return None, {"IfNoneMatch": "*"}
        except StoreDown as problem:
            if not self._is_gone(name):
                raise
            raise Damaged(f"{self.uri}{name} is listed, and its bytes are gone (a power loss?)") from problem
        if reply["Metadata"].get("sha256", sha256(data)) != sha256(data):
            raise Damaged(f"{self.uri}{name} is not what was written")
        return data, {"IfMatch": reply["ETag"]}

    def _is_gone(self, name: str) -> bool:
        """Whether a server that failed to read an object reads another one, and still lists this one.

        So it does after a power loss, when the bytes had not reached its disk. It is asked for the object once more.
        """
        self._read_through(mark_of(self.client))
        if self.head(name) is None:
            return False
        try:
            self._read_through(name)
        except StoreDown:
            return True
        return False

    def _read_through(self, name: str) -> None:
        with self._explained(name):
            reply = self.impatient.get_object(Bucket=self.bucket, Key=self.prefix + name)
            for _ in reply["Body"].iter_chunks(1 << 20):
                pass

    def as_it_is(self, name: str) -> Mapping[str, str]:
        """The condition to replace an object that cannot be read."""
        found = self.head(name)
        return {"IfMatch": found.etag} if found else {"IfNoneMatch": "*"}

    def put_if(self, name: str, data: bytes, condition: Mapping[str, str]) -> bool:
        """Writes an object while it is still as `condition` says (`read`, `as_it_is`); False when it is not."""
        with self._explained(name):
            for _ in range(ATTEMPTS):
                try:
                    self.client.put_object(
                        Bucket=self.bucket,
                        Key=self.prefix + name,
                        Body=data,
                        Metadata={"sha256": sha256(data)},
                        **condition,  # type: ignore[arg-type]
                    )
                    return True
                except ClientError as problem:
                    if code_of(problem) in TAKEN or (code_of(problem) in MISSING and "IfMatch" in condition):
                        return False
                    if code_of(problem) not in CONFLICT:
                        raise
                    time.sleep(0.1)
        raise StoreDown(f"{self.uri}{name}: others write it all the time")

    def _create(self) -> None:
        try:
            self.client.create_bucket(Bucket=self.bucket)
        except ClientError as problem:
            if code_of(problem) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def _explained(self, name: str = "") -> AbstractContextManager[None]:
        return explained(self.client, self.bucket, name)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

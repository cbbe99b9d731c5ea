"""Proves conditional writes: the store rests on them, and some servers and proxies ignore them silently."""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.store.s3 import CONFLICT, MISSING, TAKEN, StoreError, code_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REFUSED = {"501", "NotImplemented"}


class ConditionsIgnored(StoreError):
    """The server overwrote an object that must not exist, or that had changed."""


def mark_of(client: "S3Client") -> str:
    """Name of the object that says that the server at this address was proved."""
    return f"conditions/{hashlib.sha256(client.meta.endpoint_url.encode()).hexdigest()[:16]}.json"


def prove(client: "S3Client", bucket: str, prefix: str) -> None:
    """Tries If-None-Match and If-Match on an object of its own; once for a bucket and an address.

    Raises:
        ConditionsIgnored: when a write went through that must not.
    """
    mark = prefix + mark_of(client)
    try:
        client.get_object(Bucket=bucket, Key=mark)["Body"].read()
        return
    except ClientError as problem:
        if code_of(problem) not in MISSING and problem.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise  # a mark that a power loss took the bytes of is written anew
    probe = f"{prefix}conditions/probe-{uuid.uuid4()}"

    def write(body: bytes, **condition: Any) -> str | None:
        """The object's new ETag, or None when the condition kept it as it was."""
        try:
            return client.put_object(Bucket=bucket, Key=probe, Body=body, **condition)["ETag"]
        except ClientError as problem:
            if code_of(problem) in TAKEN | CONFLICT | REFUSED:
                return None
            raise

    try:
        first = write(b"first", IfNoneMatch="*")
        creates_once = first is not None and write(b"second", IfNoneMatch="*") is None
        stale = write(b"third")
        swaps = first is not None and stale is not None and write(b"fourth", IfMatch=first) is None
        swaps = swaps and stale is not None and write(b"fourth", IfMatch=stale) is not None
    finally:
        client.delete_object(Bucket=bucket, Key=probe)
    if not creates_once or not swaps:
        ignored = "If-None-Match" if not creates_once else "If-Match"
        raise ConditionsIgnored(
            f"store {client.meta.endpoint_url}, bucket {bucket!r}: the server does not honour conditional writes "
            f"({ignored}), so two runs could overwrite each other's stages unseen. AWS S3, SeaweedFS from 4.0, MinIO "
            f"and Ceph do; a proxy before one of them must pass the header on. CPL_STORE and AWS_ENDPOINT_URL name it"
        )
    client.put_object(Bucket=bucket, Key=mark, Body=json.dumps({"proved_at": f"{datetime.now(UTC):%FT%TZ}"}).encode())

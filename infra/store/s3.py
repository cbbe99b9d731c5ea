"""The one S3 client, and what its failures mean to a user (design D6)."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import Boto3Error, RetriesExceededError
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NONE = timedelta()
KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
REFUSED = {
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "RequestTimeTooSkewed",
}
TOLERATED = timedelta(minutes=5)
"""Between this machine's clock and the store's. Most stores refuse what was signed 15 minutes ago, or ahead."""
MISSING = {"404", "NoSuchKey"}
TAKEN = {"412", "PreconditionFailed"}
SERVERS_KEYS = ("AES256", "aws:kms")
"""Ways of encryption with a key that the server chooses."""
CONFLICT = {"409", "ConditionalRequestConflict"}


class StoreError(RuntimeError):
    """The store cannot be reached, refuses the key, lacks the bucket or object, or gave other bytes than promised."""


class StoreDown(StoreError):
    """It does not answer, or not as it should: it may in a minute."""


def connect(encryption: str | None) -> tuple["S3Client", "S3Client"]:
    """Clients for the endpoint and keys of the environment now: one to work with, one that soon gives up.

    `encryption`: as `infra.environment.Environment.store_encryption`.
    """
    session = boto3.Session()
    clients = _client(session, read_timeout=60, attempts=3), _client(session, read_timeout=3, attempts=2)
    if encryption is not None:
        words = {"ServerSideEncryption": encryption}
        if encryption not in SERVERS_KEYS:
            words = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": encryption}
        for client, begins in itertools.product(clients, ("PutObject", "CreateMultipartUpload")):
            client.meta.events.register(f"provide-client-params.s3.{begins}", lambda params, **_: params | words)
    return clients


def _client(session: boto3.Session, read_timeout: float, attempts: int) -> "S3Client":
    # Where the bucket is named is left to boto3: with an endpoint in the path, unless its configuration file says
    # `addressing_style = virtual`; else in the host, as AWS wants it.
    config = Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,
    )
    return session.client("s3", region_name=os.environ.get("AWS_REGION"), config=config)


def code_of(problem: ClientError) -> str:
    """S3's name of the error, or the status of a reply without a body."""
    return str(problem.response.get("Error", {}).get("Code", ""))


def _ahead(problem: ClientError) -> timedelta:
    """How far this machine's clock is ahead of the store's, as far as its reply tells."""
    told = problem.response["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    return datetime.now(UTC) - parsedate_to_datetime(told) if told else NONE


@contextmanager
def explained(client: "S3Client", bucket: str, name: str) -> Iterator[None]:
    """Turns boto3's errors into a `StoreError` with the place and the way out."""
    where = f"store {client.meta.endpoint_url}, bucket {bucket!r}"
    try:
        yield
    except NoCredentialsError as problem:
        raise StoreError(
            f"{where}: no key is set. Set {KEYS}; or, for the local store, unset CPL_STORE and run `cpl up`"
        ) from problem
    except (ResponseStreamingError, IncompleteReadError, RetriesExceededError) as problem:
        raise StoreDown(f"{where}, {name!r}: the server broke off while it was read ({problem})") from problem
    except SSLError as problem:
        raise StoreError(
            f"{where}: its certificate is not believed ({problem.kwargs['error']}). AWS_CA_BUNDLE names the file of an "
            "authority of your own"
        ) from problem
    except (HTTPClientError, NoConnectionError) as problem:
        raise StoreDown(
            f"{where}: cannot be reached ({type(problem).__name__}). Is it running? `cpl status` tells, `cpl up` "
            f"starts the local one; AWS_ENDPOINT_URL names another"
        ) from problem
    except ClientError as problem:
        code = code_of(problem)
        if code in REFUSED and abs(ahead := _ahead(problem)) > TOLERATED:
            minutes = f"{abs(ahead) / timedelta(minutes=1):.0f} minutes {'ahead of' if ahead > NONE else 'behind'}"
            raise StoreError(
                f"{where}: refuses the request ({code}), for this machine's clock is {minutes} the store's. "
                "Set the clock right, then retry the flow run"
            ) from problem
        if code in REFUSED:
            raise StoreError(f"{where}: refuses the key ({code}). Look at {KEYS} (and AWS_REGION)") from problem
        if code == "NoSuchBucket":
            raise StoreError(f"{where}: no such bucket. CPL_STORE names it") from problem
        if problem.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            reads = problem.operation_name in ("GetObject", "HeadObject", "ListObjectsV2")
            cause = "cannot read" if reads else "cannot write, as when its disk is full: make room there"
            raise StoreDown(
                f"{where}, {name!r}: the server failed ({code}); it {cause}. "
                f"The local one tells in logs/s3.log of CPL_HOME; `cpl down` and `cpl up` start it anew"
            ) from problem
        if code in MISSING:
            raise StoreError(f"{where}: there is no object {name!r}") from problem
        raise StoreError(f"{where}, {name!r}: {problem}") from problem
    except (BotoCoreError, Boto3Error) as problem:
        raise StoreError(f"{where}, {name!r}: {problem}") from problem

"""Stores as users have them: where the bucket's name stands, a CA of their own, encryption, versions, few rights."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from infra.environment import Environment
from infra.stack.certificate import certify
from infra.store import Store, StoreError
from infra.store.s3 import connect
from tests.infra.store.test_conditions import StandIn
from tests.stages import commit

ROOT = Path(__file__).parents[3]
ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}
"""AWS's rights, by what is asked of the server ("Actions defined by Amazon S3", Service Authorization Reference)."""


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


@pytest.fixture
def server(keys: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with StandIn({"If-None-Match", "If-Match"}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("endpoint", "style", "address"),
    [
        (None, None, "https://bucket.s3.amazonaws.com/name"),
        (None, "path", "https://s3.eu-central-1.amazonaws.com/bucket/name"),
        ("https://minio.example", None, "https://minio.example/bucket/name"),
        ("https://r2.example", "virtual", "https://bucket.r2.example/name"),
    ],
)
def test_the_bucket_stands_where_boto3s_own_settings_say(
    endpoint: str | None, style: str | None, address: str, keys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if style:
        (tmp_path / "config").write_text(f"[default]\ns3 =\n  addressing_style = {style}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for client in connect(None):
        url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "name"})
        assert url.partition("?")[0] == address


def test_a_server_with_a_certificate_of_ones_own_is_believed_where_the_environment_names_it(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(tmp_path)
    told = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    told.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server.socket = told.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")  # the stand-in reads no trailers
    with pytest.raises(StoreError, match="AWS_CA_BUNDLE"):
        Store.open(Environment(store="s3://cpl", home=tmp_path))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    Store.open(Environment(store="s3://cpl", home=tmp_path)).put("one", b"1")
    assert "/cpl/one" in server.objects


@pytest.mark.parametrize(
    ("encryption", "headers"),
    [
        (None, {}),
        ("AES256", {"x-amz-server-side-encryption": "AES256"}),
        (
            "arn:aws:kms:eu-central-1:1:key/mine",
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-central-1:1:key/mine",
            },
        ),
    ],
)
def test_every_write_asks_for_the_encryption_that_is_set(
    encryption: str | None, headers: dict[str, str], server: StandIn, tmp_path: Path
) -> None:
    asked: dict[str, dict[str, str]] = {}

    def seen(model: Any, params: dict[str, Any], **_: Any) -> None:
        told = {name.lower(): value for name, value in params["headers"].items()}
        asked[model.name] = {name: value for name, value in told.items() if "encryption" in name}

    client, _ = connect(encryption)
    client.meta.events.register("before-call.s3", seen)
    store = Store(client, "cpl", "", tmp_path)
    store.put("small", b"1")
    with pytest.raises(StoreError):  # the stand-in knows no uploads in parts
        store.upload("large", BytesIO(bytes(9 << 20)))
    assert asked == {"PutObject": headers, "CreateMultipartUpload": headers}


@pytest.mark.integration
def test_in_a_versioned_bucket_all_is_as_in_another(store: Store) -> None:
    client = store.client
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    versioned = Store(client, "versioned", f"{store.prefix}p/", store.cache.folder / "versioned")
    ref = commit(versioned, "search", "k", {"trees": b"t"})
    versioned.put("pointer", b"1")
    versioned.swap("pointer", lambda now: (now or b"") + b"2")
    assert versioned.get("pointer") == b"12"
    assert versioned.find("stages/search/k") == ref
    versioned.delete(versioned.names(""))
    assert versioned.names("") == []
    assert versioned.find("stages/search/k") is None
    assert client.list_object_versions(Bucket="versioned", Prefix=versioned.prefix)["Versions"]


@pytest.mark.integration
def test_the_policy_of_the_documents_is_enough(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of request that a store makes is one that it allows; and it allows no more."""
    (policy,) = re.findall(r"(?s)```json\n(.*?)```", (ROOT / "docs/operating.md").read_text())
    allowed = {action for one in json.loads(policy)["Statement"] for action in one["Action"]}
    asked: set[str] = set()

    def connected(encryption: str | None) -> Any:
        clients = connect(encryption)
        for client in clients:
            client.meta.events.register("before-call.s3", lambda model, **_: asked.add(model.name))
        return clients

    monkeypatch.setattr("infra.store.store.connect", connected)
    large = tmp_path / "large"
    large.write_bytes(bytes(9 << 20))
    watched = Store.open(Environment(store=f"{store.uri}below", home=tmp_path))
    watched.fetch(commit(watched, "search", "k", {"trees": b"t", "weights": large}), "weights")
    watched.swap("pointer", lambda _: b"1")
    store.client.create_multipart_upload(Bucket=store.bucket, Key=f"{watched.prefix}half")
    for name, upload in watched.uploads(datetime.max.replace(tzinfo=UTC)):
        watched.abort(name, upload)
    watched.delete([*watched.names(""), "a\nname"])
    assert {ACTIONS[one] for one in asked} == allowed

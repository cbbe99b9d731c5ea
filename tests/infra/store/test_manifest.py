"""A manifest by somebody who may write to the store and no more: it reads and plants nothing, and is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.store import Ref, Store, StoreError
from infra.store.bucket import sha256
from infra.store.manifest import ManifestRefused, ManifestTorn, plain, read_manifest
from tests.stages import commit, manifest

URI = "s3://cpl/stages/search/k/manifest.json"
GOOD = json.loads(manifest("search", "k", []).encoded())
OBJECT = {"name": "trees.parquet", "size": 1, "sha256": "0" * 64, "rows": None}
REF = {"uri": URI, "sha256": "0" * 64, "rows": 0}


def with_object(**fields: Any) -> dict[str, Any]:
    return GOOD | {"objects": [OBJECT | fields]}


HOSTILE = {
    "a digest that is a path": (with_object(sha256="../../../secret.txt"), "objects.0.sha256"),
    "a digest in capitals": (with_object(sha256="A" * 64), "objects.0.sha256"),
    "a digest with a line feed": (with_object(sha256="0" * 64 + "\n"), "objects.0.sha256"),
    "a name that climbs": (with_object(name="../../../planted.sh"), "objects.0.name"),
    "a name that climbs later": (with_object(name="model/../../planted.sh"), "objects.0.name"),
    "an absolute name": (with_object(name="/etc/cron.d/planted"), "objects.0.name"),
    "a name for Windows": (with_object(name="..\\planted"), "objects.0.name"),
    "a name of nothing": (with_object(name=""), "objects.0.name"),
    "a name with a NUL": (with_object(name="a\x00b"), "objects.0.name"),
    "a name that clears the terminal": (with_object(name="a\x1b[2Jb"), "objects.0.name"),
    "a name that turns the text around": (with_object(name="a\u202egpj.sh"), "objects.0.name"),
    "a name that is half a character": (with_object(name="\ud800"), "objects.0.name"),
    "a name longer than a file's": (with_object(name="a" * 300), "objects.0.name"),
    "a name twice": (GOOD | {"objects": [OBJECT, OBJECT]}, "one name"),
    "a name that is another's folder": (GOOD | {"objects": [OBJECT, OBJECT | {"name": "trees.parquet/x"}]}, "folder"),
    "a negative size": (with_object(size=-1), "objects.0.size"),
    "a size in words": (with_object(size="much"), "objects.0.size"),
    "negative rows": (GOOD | {"facts": {"rows": -3}}, "rows"),
    "rows in words": (GOOD | {"facts": {"rows": "../.."}}, "rows"),
    "endless seconds": (GOOD | {"seconds": 1e999}, "seconds"),
    "an input outside of S3": (GOOD | {"inputs": {"base": REF | {"uri": "file:///etc/passwd"}}}, "inputs.base.uri"),
    "an input that climbs": (
        GOOD | {"inputs": {"base": REF | {"uri": "s3://cpl/../other/manifest.json"}}},
        "inputs.base.uri",
    ),
    "an input without a digest": (GOOD | {"inputs": {"base": REF | {"sha256": ""}}}, "inputs.base.sha256"),
    "another stage's": (GOOD | {"key": "other"}, "stages/search/other"),
    "a stage that is a path": (GOOD | {"stage": "../search"}, "stage"),
    "a later format": (GOOD | {"format": 3}, "format"),
    "a list": ([GOOD], "no JSON object"),
    "nothing but null": (None, "no JSON object"),
    "no fields": ({}, "stage"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_field_is_named_with_the_way_out(name: str) -> None:
    document, field = HOSTILE[name]
    with pytest.raises(ManifestRefused, match="cpl verify --drop") as problem:
        read_manifest(json.dumps(document).encode(), URI)
    assert field in str(problem.value)
    assert str(problem.value).isprintable()
    assert len(str(problem.value)) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"step": ',
        b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
        b"[" * 200_000,
        b'{"version": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "half", "pickle", "a bomb of brackets", "a number of 5,000 digits"],
)
def test_what_is_no_json_is_no_manifest(data: bytes) -> None:
    with pytest.raises(ManifestTorn, match=URI):
        read_manifest(data, URI)


@pytest.mark.parametrize("name", ["trees.parquet", "model/config.json", "model/Größe 1.json", "a..b", "...jsonl"])
def test_a_plain_name_is_taken(name: str) -> None:
    assert plain(name) == name


def test_the_version_is_that_of_the_content() -> None:
    made = manifest("search", "k", [], seconds=1.0, run_id="one", code="0.1.0")
    _, ref = read_manifest(made.encoded(), URI)
    again = made.model_copy(update={"seconds": 2.0, "run_id": "two", "code": "0.2.0"})
    assert read_manifest(again.encoded(), URI)[1] == ref
    other = made.model_copy(update={"facts": {"rows": 1}})
    assert read_manifest(other.encoded(), URI)[1].sha256 != ref.sha256


@pytest.mark.integration
def test_a_planted_manifest_reads_and_plants_nothing(store: Store) -> None:
    secret = store.cache.folder.parent.parent / "secret.txt"
    secret.write_text("the user's own")
    store.cache.objects.mkdir(parents=True)
    for planted in (
        with_object(sha256="../../../secret.txt", size=14),
        with_object(name="../../../planted.sh", sha256=sha256(b"#!/bin/sh"), size=9),
    ):
        store.put(f"objects/{sha256(b'#!/bin/sh')}", b"#!/bin/sh")
        store.put("stages/search/k/manifest.json", json.dumps(planted).encode())
        with pytest.raises(ManifestRefused):
            store.find("stages/search/k")
        ref = Ref(uri=f"{store.uri}stages/search/k/manifest.json", sha256="0" * 64, rows=0)
        for read in (store.manifest, store.folder):
            with pytest.raises(ManifestRefused):
                read(ref)
    assert not list(Path(store.cache.folder.parent.parent).rglob("planted.sh"))


@pytest.mark.integration
def test_a_reference_to_another_bucket_is_refused(store: Store) -> None:
    ref = commit(store, "search", "k")
    with pytest.raises(StoreError, match="lies outside of the store"):
        store.manifest(ref.model_copy(update={"uri": ref.uri.replace("s3://cpl/", "s3://other/")}))

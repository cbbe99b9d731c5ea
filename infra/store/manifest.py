"""A stage as the store keeps it: a JSON manifest that names every object by digest (design D6).

Whoever can write to the store can write manifests, so every field is hostile until it is checked here. A digest is a
digest; a name stays below its folder.
"""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from infra.contract.faults import described
from infra.store.bucket import WAY_OUT
from infra.store.s3 import StoreError

MANIFEST = "manifest.json"
HOW_IT_WAS_MADE = ("created_at", "seconds", "gpu_seconds", "timeline", "run_id", "code")
"""Fields that are not digested: the same content, made again, is the same version."""


class ManifestRefused(StoreError):
    """A manifest that the factory would not have written; the message names the field and the way out."""


class ManifestTorn(StoreError):
    """No whole JSON document: what a power loss leaves. It counts as none."""


def plain(name: str) -> str:
    """The name, if it is a relative path that stays below the folder that it is put in.

    Raises:
        ValueError: for `..`, an absolute path, an empty part, a backslash, a character that does not print.
    """
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") or len(part) > 200 for part in parts):
        raise ValueError(f"{name[:100]!r} is no plain relative name")
    return name


def _address(uri: str) -> str:
    if not uri.startswith("s3://") or not uri.endswith(f"/{MANIFEST}"):
        raise ValueError(f"{uri[:100]!r} is not s3://…/{MANIFEST}")
    plain(uri.removeprefix("s3://"))
    return uri


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PlainName = Annotated[str, AfterValidator(plain)]
Word = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-][0-9A-Za-z_.-]*$", max_length=200)]
Count = Annotated[int, Field(ge=0)]


class Ref(BaseModel):
    """A committed stage: what tasks hand each other instead of data."""

    model_config = ConfigDict(frozen=True)

    uri: Annotated[str, AfterValidator(_address)]
    """s3://… of the manifest."""
    sha256: Sha256
    """Of the manifest's content: the stage's version."""
    rows: Count
    """Of the stage's main table; 0 for models."""
    counts: dict[str, int] = {}
    """What the stage counted of its own work, by name; yes is 1, no is 0."""
    notes: tuple[str, ...] = ()
    """What a reader of the round should know of it."""

    def __hash__(self) -> int:
        return hash((self.uri, self.sha256))


class StoredObject(BaseModel):
    """One object of a stage."""

    model_config = ConfigDict(frozen=True)

    name: PlainName
    """Relative to the stage, as its writer named it."""
    size: Count
    sha256: Sha256
    rows: Count | None = None


class Manifest(BaseModel):
    """What a stage is, where it came from, and every object it consists of."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1, 2] = 2
    """1: payload lies below the stage, the version is the digest of the manifest's bytes. (Written until 0.1.0.)"""
    stage: Word = Field(validation_alias=AliasChoices("stage", "step"))  # as versions until 0.1.0 called it
    version: Count
    key: Word
    created_at: datetime
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    gpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """GPUs that it held, times the seconds; None: made before this was kept."""
    timeline: dict[str, dict[str, list[Annotated[float, Field(allow_inf_nan=False)]]]] = {}
    """How the work went on, by series: lists of one length, `at` in seconds since it began (tasks.running.timeline)."""
    run_id: str
    code: str
    """Git revision or package version that made it."""
    config: dict[str, Any]
    inputs: dict[str, Ref]
    objects: list[StoredObject]
    facts: dict[str, Any]
    """What is worth knowing without opening the payload; `rows` are those of the main table."""

    @model_validator(mode="after")
    def _names_do_not_collide(self) -> "Manifest":
        names = {item.name for item in self.objects}
        folders = {name[:end] for name in names for end in range(len(name)) if name[end] == "/"}
        if len(names) < len(self.objects) or names & folders:
            raise ValueError("two objects have one name, or one is named as the folder of another")
        return self

    @property
    def prefix(self) -> str:
        """Where in the store the stage lies."""
        return f"stages/{self.stage}/{self.key}"

    def place(self, item: StoredObject) -> str:
        """Where in the store an object of this stage lies."""
        return place_of(item.sha256) if self.format > 1 else f"{self.prefix}/{item.sha256[:16]}/{item.name}"

    def encoded(self) -> bytes:
        return self.model_dump_json(indent=1).encode()


def place_of(sha256: str) -> str:
    """Where in the store the object of this digest lies, whichever stages it belongs to."""
    return f"objects/{sha256}"


def read_manifest(data: bytes, uri: str) -> tuple[Manifest, Ref]:
    """The manifest that lies at `uri`, checked, and its reference.

    Raises:
        ManifestTorn: when it is no whole JSON document.
        ManifestRefused: when it is one that the factory would not have written.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise ManifestTorn(f"{uri} is no JSON document ({problem}), as after a power loss") from problem
    try:
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
        manifest = Manifest.model_validate({"format": 1} | document)
        ref = Ref(
            uri=uri,
            sha256=_version(document, data, manifest.format),
            rows=manifest.facts.get("rows", 0),
            counts={name: n for name, n in manifest.facts.items() if isinstance(n, int) and name != "rows"},
            notes=manifest.facts.get("notes", ()),
        )
        if not uri.endswith(f"/{manifest.prefix}/{MANIFEST}"):
            raise ValueError(f"it is that of {manifest.prefix}")
    except ValidationError as problem:
        raise ManifestRefused(f"{uri} is refused: {described(problem, most=3)}. {NOT_OURS}") from problem
    except ValueError as problem:
        raise ManifestRefused(f"{uri} is refused: {problem}. {NOT_OURS}") from problem
    return manifest, ref


NOT_OURS = f"The factory did not write it so: find out who else may write to this store. {WAY_OUT}"


def _version(document: dict[str, Any], data: bytes, format: int) -> str:
    if format > 1:
        content = {name: value for name, value in document.items() if name not in HOW_IT_WAS_MADE}
        data = json.dumps(content, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()

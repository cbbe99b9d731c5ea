"""Where rounds lie in the store: publications, pointers to the newest, the record of the last run.

    rounds/<campaign>/<NNNN>/published/<publication>.json     each publication of the round, for ever
    rounds/<campaign>/<NNNN>/latest.json                      the newest of them
    campaigns/<campaign>/latest.json                          the campaign's latest round
    runs/latest/<campaign>/<NNNN>.json                        what the round's last run did
    runs/last.json                                            the round that ran last, and the last that completed

A published round is immutable; only pointers move. Every other module names rounds and knows no path, so all that
reads or writes these five is here.

Whoever can write to the store can write here. A damaged pointer is an error, for it stands for work. A damaged record
counts as none. Other names are passed over. Long, for no other file may know these paths.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from infra.store.manifest import Manifest, Ref, Word
from infra.store.s3 import StoreError
from infra.store.store import Damaged, Store

Record = dict[str, Any]

SINCE = 7
"""Version of the stage *publish* since which a round has the tables of this version: it can be shown and built on."""

POINTER = re.compile(r"rounds/([0-9A-Za-z_.-]+)/([0-9]{4})/latest\.json")
RECORD = re.compile(r"runs/latest/([0-9A-Za-z_.-]+)/([0-9]{4})\.json")
Number = Annotated[int, Field(strict=True, ge=1, le=9999)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Title(BaseModel):
    """What a round is called, and what it is made of.

    `model` is the user's name for it, `base` the digest of its files. Publications of an earlier version have neither.
    """

    model_config = ConfigDict(frozen=True)

    campaign: str
    round: int
    recipe: str = ""
    model: str = ""
    base: str = ""
    source: str = ""


class Publication(BaseModel):
    """A pointer to a published round's manifest."""

    model_config = ConfigDict(frozen=True)

    campaign: Word
    round: Number
    manifest: Ref

    @property
    def publication(self) -> str:
        """The name by which one of several publications of a round is asked for."""
        return self.manifest.sha256[:12]


class _Ran(BaseModel):
    campaign: Word
    round: Number


class _Last(BaseModel):
    """runs/last.json."""

    ran: _Ran | None = None
    completed: _Ran | None = None


class _Stage(BaseModel):
    stage: str = Field(validation_alias=AliasChoices("stage", "step"))  # as versions until 0.1.0 called it
    seconds: Seconds
    cached: bool


class _Recorded(BaseModel):
    """What readers of a record want of it."""

    state: str
    run_id: str = ""
    seconds: Seconds = 0.0
    stages: list[_Stage] = []
    notes: list[str] = []
    error: str | None = None
    recipe: str | None = None
    model: str | None = None
    source: str | None = None


class NoSuchRound(LookupError):
    """There is no such round; the message says which there are, or how to make one."""


def publish(store: Store, campaign: str, round: int, manifest: Ref) -> None:
    """Adds a publication and moves the pointers of the round and of the campaign to it (compare-and-swap)."""
    new = Publication(campaign=campaign, round=round, manifest=manifest)
    document = new.model_dump_json().encode()

    def latest_round(old: bytes | None) -> bytes:
        return old if old is not None and _read(old).round > round else document

    store.put(f"{_folder(campaign, round)}/published/{new.publication}.json", document)
    store.swap(f"{_folder(campaign, round)}/latest.json", lambda _: document)
    store.swap(f"campaigns/{campaign}/latest.json", latest_round)


def campaigns(store: Store) -> list[str]:
    """Those that have a published round."""
    found = (re.fullmatch(r"campaigns/([0-9A-Za-z_.-]+)/latest\.json", name) for name in store.names("campaigns/"))
    return [one[1] for one in found if one]


def publications(store: Store, campaign: str = "") -> Iterator[tuple[Publication, bool]]:
    """Every publication, and whether it is its round's newest; by campaign and round."""
    names = store.names(f"rounds/{campaign}/" if campaign else "rounds/")
    newest = {name.removesuffix("/latest.json"): _read(store.get(name)) for name in names if POINTER.fullmatch(name)}
    for folder, latest in newest.items():
        replaced = [
            name
            for name in names
            if name.startswith(f"{folder}/published/") and not name.endswith(f"/{latest.publication}.json")
        ]
        yield from ((_read(store.get(name)), False) for name in replaced)
        yield latest, True


def published(store: Store, campaign: str, round: int | None = None, publication: str | None = None) -> Publication:
    """A publication: of a campaign's latest round, or of the round given; its newest, or the one that is named.

    Raises:
        NoSuchRound: with those that there are.
    """
    if publication is not None:
        found = [one for one, _ in publications(store, campaign) if one.publication.startswith(publication)]
        if round is not None:
            found = [one for one in found if one.round == round]
        if len(found) != 1:
            raise NoSuchRound(f"{len(found)} publications of {campaign!r} begin with {publication!r}; see `cpl rounds`")
        return found[0]
    name = f"campaigns/{campaign}/latest.json" if round is None else f"{_folder(campaign, round)}/latest.json"
    if name not in store.names(name):
        known = campaigns(store)
        if not known:
            raise NoSuchRound("Nothing is published yet. Make a round: `make round`, or run cpl/round in the UI.")
        what = "Nothing" if round is None else f"No round {round}"
        raise NoSuchRound(
            f"{what} of campaign {campaign!r} is published. Campaigns that have rounds: {', '.join(known)}."
        )
    return _read(store.get(name))


def remove(store: Store, campaign: str, round: int | None = None) -> list[int]:
    """Forgets the publications and records of a round or a whole campaign. Their stages stay in the store.

    Returns the numbers of the rounds that are gone.

    Raises:
        NoSuchRound: there is none of that name, or a later round starts from this one.
    """
    numbers = sorted({number for name, number in [*recorded(store), *_published_numbers(store)] if name == campaign})
    gone = numbers if round is None else [number for number in numbers if number == round]
    if not gone:
        raise NoSuchRound(f"there is no {'campaign' if round is None else f'round {round} of campaign'} {campaign!r}")
    kept = [number for number in numbers if number not in gone]
    if later := [number for number in kept if number > gone[-1]]:
        raise NoSuchRound(f"round {later[0]} of {campaign!r} builds on round {round}: remove that one before, or all")
    left = [number for name, number in _published_numbers(store) if name == campaign and number in kept]
    if left:
        store.put(f"campaigns/{campaign}/latest.json", store.get(f"{_folder(campaign, left[-1])}/latest.json"))
    else:
        store.delete([f"campaigns/{campaign}/latest.json"])
    for number in gone:
        store.delete([*store.names(f"{_folder(campaign, number)}/"), _record_name(campaign, number)])
    store.swap("runs/last.json", lambda old: _without(old, campaign, gone))
    return gone


def _without(last: bytes | None, campaign: str, gone: list[int]) -> bytes:
    known = _last(last)
    kept = {what: ran for what, ran in known if ran and (ran.campaign != campaign or ran.round not in gone)}
    return _Last(**kept).model_dump_json().encode()


def _published_numbers(store: Store) -> list[tuple[str, int]]:
    return _numbered(store, "rounds/", POINTER)


def next_round(store: Store, campaign: str) -> int:
    """The number of the campaign's first round that is not published."""
    numbers = [number for name, number in _published_numbers(store) if name == campaign]
    return next(number for number in range(1, len(numbers) + 2) if number not in numbers)


def title_of(manifest: Manifest) -> Title:
    """What a published manifest says of its round."""
    return Title.model_validate({k: v for k, v in manifest.facts.items() if k in Title.model_fields})


def stages_of(manifest: Manifest) -> dict[str, Ref]:
    """The stages of a published round, by name: the inputs of its manifest that are called `stages.NAME`."""
    found = ((name.removeprefix("stages."), ref) for name, ref in manifest.inputs.items() if name.startswith("stages."))
    return dict(found)


def write_record(store: Store, record: Record) -> None:
    """Keeps what a run did: `campaign`, `round`, `state` (completed, failed, waiting), and what else it says."""
    campaign, round = record["campaign"], record["round"]
    ran = _Ran(campaign=campaign, round=round)

    def last(old: bytes | None) -> bytes:
        completed = {"completed": ran} if record["state"] == "completed" else {}
        return _last(old).model_copy(update={"ran": ran} | completed).model_dump_json().encode()

    store.put(_record_name(campaign, round), json.dumps(record, indent=2).encode())
    store.swap("runs/last.json", last)


def read_record(store: Store, campaign: str, round: int) -> Record | None:
    """The record of a round's last run; None where it never ran here or the record cannot be read."""
    try:
        return _Recorded.model_validate_json(_known(store, _record_name(campaign, round)) or b"").model_dump()
    except ValidationError:
        return None


def recorded(store: Store) -> list[tuple[str, int]]:
    """Campaign and number of every round that ever ran here, published or not."""
    return _numbered(store, "runs/latest/", RECORD)


def _numbered(store: Store, prefix: str, made_so: re.Pattern[str]) -> list[tuple[str, int]]:
    found = (made_so.fullmatch(name) for name in store.names(prefix))
    return [(one[1], int(one[2])) for one in found if one]


def last_run(store: Store, *, completed: bool = False) -> tuple[str, int] | None:
    """Campaign and number of the round that ran last, or of the last that completed, cached ones included."""
    last = _last(_known(store, "runs/last.json"))
    found = last.completed if completed else last.ran
    return (found.campaign, found.round) if found else None


def _last(document: bytes | None) -> _Last:
    """What is no such document counts as none: the next run writes it anew."""
    try:
        return _Last.model_validate_json(document or b"{}")
    except ValidationError:
        return _Last()


def _known(store: Store, name: str) -> bytes | None:
    """Reads an object that only tells what happened. A lost or torn one counts as none."""
    try:
        return store.read(name)[0]
    except Damaged:
        return None


def _folder(campaign: str, round: int) -> str:
    return f"rounds/{campaign}/{round:04d}"


def _record_name(campaign: str, round: int) -> str:
    return f"runs/latest/{campaign}/{round:04d}.json"


def _read(pointer: bytes) -> Publication:
    try:
        return Publication.model_validate_json(pointer)
    except ValidationError as problem:
        raise StoreError(f"the pointer to a round is damaged, or nothing that the factory wrote: {problem}") from None

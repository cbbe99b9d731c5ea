"""Places of questions: files, folders, the Hugging Face hub, and where data sets are looked for.

A place digests its content for a cache key, and again with the rows that it gives: a change between the two is noticed.
"""

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.digest import digest
from tasks.questions.tables import read_file, rows_of
from tasks.questions.values import QuestionError, Row

HUB_SECONDS = 5.0
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


class Read(NamedTuple):
    """Rows with their places ("train.jsonl, line 7"), and the content that they were read from."""

    rows: Iterator[tuple[str, Row]]
    content: str


class Place(Protocol):
    def content(self) -> str:
        """Digest or commit of what lies there; "" where nothing does or nobody says."""

    def read(self) -> Read:
        """Raises QuestionError where there is nothing, or nothing that can be read."""


@dataclass(frozen=True)
class File:
    path: Path

    def content(self) -> str:
        try:
            return digest(self.path) if self.path.is_file() else ""
        except OSError:  # which `read` names
            return ""

    def read(self) -> Read:
        data = read_file(self.path)
        return Read(rows_of(self.path, data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class HubSet:
    """A data set of the hub, at the commit that the hub named first in this process."""

    name: str
    config: str | None
    split: str

    def content(self) -> str:
        return hub_commit(self.name)

    def read(self) -> Read:
        return Read(hub_rows(self.name, self.config, self.split), hub_commit(self.name))


class HubUnreachable(QuestionError):
    """The hub did not answer, or does not have this data set or split."""


def data_folder() -> Path | None:
    """The user's folder of data sets (`<set>/<split>.jsonl.gz`), from the environment variable CPL_DATA."""
    folder = os.environ.get("CPL_DATA")
    return Path(folder).expanduser() if folder else None


def reach_hub() -> None:
    """Raises HubUnreachable within seconds where no hub answers; its own libraries retry for half a minute or more."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return
    try:
        httpx.head(constants.ENDPOINT, timeout=HUB_SECONDS)
    except httpx.HTTPError as problem:
        raise HubUnreachable(f"the hub at {constants.ENDPOINT} did not answer ({problem})") from problem


@functools.cache
def hub_commit(name: str) -> str:
    """The commit of a hub data set, "" where the hub does not say; asked once a process, so that a round reads one."""
    from huggingface_hub import HfApi

    try:
        reach_hub()
        return HfApi().dataset_info(name, timeout=HUB_SECONDS).sha or ""
    except Exception:  # the libraries below raise every kind of error for a hub that hangs, refuses or is offline
        return ""


def hub_rows(name: str, config: str | None, split: str) -> Iterator[tuple[str, Row]]:
    """Rows of a hub data set at its `hub_commit`, each with its place.

    With HF_HUB_OFFLINE=1 only the hub's local cache is read. Raises HubUnreachable within seconds where no
    hub answers.
    """
    import datasets

    reach_hub()
    try:
        rows = datasets.load_dataset(name, config, split=split, revision=hub_commit(name) or None)
    except Exception as problem:  # of every kind: no such set or split, a network that fails, a set that is a program
        said = str(problem).strip().splitlines() or [type(problem).__name__]
        raise HubUnreachable(f"{name}, split {split}: {said[0][:300]}") from problem
    for number, row in enumerate(rows, 1):
        yield f"{name}, split {split}, row {number}", dict(row)

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


@dataclass(frozen=True)
class PublishedSet:
    """A set that has a name: CPL_DATA/NAME/SPLIT.jsonl.gz where that is set and there, else the hub, else (no hub
    answers) ../shared/data."""

    name: str
    split: str
    hub: str
    config: str | None

    def content(self) -> str:
        return self._place().content()

    def read(self) -> Read:
        read = self._place().read()
        return Read(self._rows(read.rows), read.content)

    def _place(self) -> "File | HubSet":
        is_here = self._file.is_file() and (data_folder() or not hub_commit(self.hub))
        return File(self._file) if is_here else HubSet(self.hub, self.config, self.split)

    @property
    def _file(self) -> Path:
        return (data_folder() or BESIDE) / self.name / f"{self.split}.jsonl.gz"

    def _rows(self, rows: Iterator[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
        """Raises QuestionError where the set is nowhere; the message says where it was looked for."""
        try:
            yield from rows
        except HubUnreachable as problem:
            # A hub that named its commit and then fails is no reason to read the file: the cache key has the commit.
            is_there = self._file.is_file()
            file = (
                f"the file {self._file} is for where no hub answers" if is_there else f"there is no file {self._file}"
            )
            raise QuestionError(
                f"{self.name}, split {self.split!r}, was not found: {problem}; {file}. Allow access to the hub, or set "
                f"CPL_DATA to a folder with {self.name}/{self.split}.jsonl.gz (fields question, answer)"
            ) from problem


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
    """Rows of a hub data set at its `hub_commit`, each with its place; of all configs ("*") with its `config`, too.

    With HF_HUB_OFFLINE=1 only the hub's local cache is read. Raises HubUnreachable within seconds where no
    hub answers.
    """
    import datasets

    reach_hub()
    revision = hub_commit(name) or None
    try:
        if config == "*":
            for each in datasets.get_dataset_config_names(name, revision=revision):
                yield from ((where, {**row, "config": each}) for where, row in hub_rows(name, each, split))
            return
        rows = datasets.load_dataset(name, config, split=split, revision=revision)
    except HubUnreachable:
        raise
    except Exception as problem:  # of every kind: no such set or split, a network that fails, a set that is a program
        said = str(problem).strip().splitlines() or [type(problem).__name__]
        raise HubUnreachable(f"{name}, split {split}: {said[0][:300]}") from problem
    for number, row in enumerate(rows, 1):
        yield f"{name}, split {split}, row {number}", dict(row)

"""Leftovers that nobody needs: in the store, and below this machine's home.

Objects that a manifest names are never among them, nor parts of unfinished work: a retry goes on from these.
"""

import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from infra.file_locks import is_free, locked
from infra.store.manifest import MANIFEST, Manifest, read_manifest
from infra.store.s3 import StoreDown, StoreError
from infra.store.store import Store

AT_WORK = timedelta(hours=1)
"""A payload object that is younger may belong to a stage that is about to be committed."""
UPLOADS = timedelta(days=1)
ABANDONED = timedelta(days=7)
"""A work folder of a stage that was not committed: its retry would go on from a checkpoint there."""
READS_AT_ONCE = 16

Kind = Literal[
    "parts of finished stages",
    "payload that no manifest names",
    "interrupted uploads",
    "results of an older version",
    "abandoned work folders",
]


class Leftover(NamedTuple):
    """`where`: a name in the store, that and the id of an upload, or a folder of this machine."""

    kind: Kind
    where: str | tuple[str, str] | Path
    size: int


class Unreadable(StoreError):
    """Some manifests cannot be read, so nobody knows which objects they name."""


def leftovers(store: Store, home: Path) -> list[Leftover]:
    """All that `drop` would remove.

    Raises:
        Unreadable: when a manifest cannot be read.
    """
    now = datetime.now(UTC)
    # Payload first: what is committed between the two listings is in the second.
    payload = {name: head for name, head in store.listed("objects/").items() if now - head.modified > AT_WORK}
    listed = store.listed("stages/")
    manifests = read_all(store, [name for name in listed if is_manifest(name)])
    if problems := [problem for problem in manifests.values() if isinstance(problem, StoreError)]:
        raise Unreadable(f"nothing is removed while there are manifests that cannot be read. {problems[0]}")
    named = {one.place(item) for one in manifests.values() if isinstance(one, Manifest) for item in one.objects}
    found = [
        Leftover("payload that no manifest names", name, head.size)
        for name, head in payload.items()
        if name not in named
    ]
    for name, head in listed.items():
        prefix, is_part = "/".join(name.split("/")[:3]), name.split("/")[3:4] == ["parts"]
        is_committed = f"{prefix}/{MANIFEST}" in manifests
        if is_part and is_committed:
            found.append(Leftover("parts of finished stages", name, head.size))
        elif not is_part and name not in manifests and name not in named and now - head.modified > AT_WORK:
            found.append(Leftover("payload that no manifest names", name, head.size))
    found += [
        Leftover("results of an older version", name, head.size) for name, head in store.listed("results/").items()
    ]
    found += [Leftover("interrupted uploads", upload, 0) for upload in store.uploads(before=now - UPLOADS)]
    return found + _work_folders(home.absolute() / "work", {"/".join(name.split("/")[1:3]) for name in manifests})


def drop(store: Store, found: Iterable[Leftover]) -> None:
    """Removes leftovers, but for what somebody took up since."""
    names = [one.where for one in found if isinstance(one.where, str)]
    written_again = datetime.now(UTC) - AT_WORK
    payload = [name for name in names if name.startswith("objects/")]
    with ThreadPoolExecutor(READS_AT_ONCE) as threads:
        heads = dict(zip(payload, threads.map(store.head, payload), strict=True))
    young = {name for name, head in heads.items() if head and head.modified > written_again}
    store.delete(name for name in names if name not in young)
    for one in found:
        if isinstance(one.where, tuple):
            store.abort(*one.where)
        elif isinstance(one.where, Path) and is_free(lock := one.where.with_suffix(".lock")):
            with locked(lock, "`cpl gc`", lambda text: None):
                shutil.rmtree(one.where, ignore_errors=True)
                lock.unlink()


def is_manifest(name: str) -> bool:
    """Whether an object below `stages/` is a stage's manifest, and not a part that is called so."""
    return name.endswith(f"/{MANIFEST}") and name.count("/") == 3


def read_all(store: Store, names: list[str]) -> dict[str, Manifest | StoreError]:
    """The manifests of these names, or why they cannot be read.

    Raises:
        StoreDown: when the store does not answer.
    """

    def read(name: str) -> Manifest | StoreError:
        try:
            return read_manifest(store.get(name), store.uri + name)[0]
        except StoreDown:
            raise
        except StoreError as problem:
            return problem

    with ThreadPoolExecutor(READS_AT_ONCE) as threads:
        return dict(zip(names, threads.map(read, names), strict=True))


def _work_folders(work: Path, committed: set[str]) -> list[Leftover]:
    """Work folders of committed stages and those untouched for a week, unless a process works there."""
    found = []
    for folder in sorted(path for path in work.glob("*/*") if path.is_dir()):
        files = [(path.stat().st_mtime, path.stat().st_size) for path in folder.rglob("*") if path.is_file()]
        newest = max((mtime for mtime, _ in files), default=folder.stat().st_mtime)
        is_old = time.time() - newest > ABANDONED.total_seconds()
        is_done = folder.relative_to(work).as_posix() in committed
        if (is_done or is_old) and is_free(folder.with_suffix(".lock")):
            found.append(Leftover("abandoned work folders", folder, sum(size for _, size in files)))
    return found

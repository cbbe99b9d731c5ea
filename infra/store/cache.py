"""Verified copies of the store's objects on this machine: a file for each digest, folders as hard links.

<home>/cache/objects/<sha256>      <home>/cache/folders/<version of a stage>/<name>
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from infra.contract.disk import room_in
from infra.digest import digest
from infra.store.manifest import StoredObject

CHEAP = 64 << 20
"""Bytes of a copy up to which it is read again before a process uses it first; larger ones are believed by size."""
ABANDONED_SECONDS = 3600.0
"""A download that did not grow for so long was left by a killed process."""


class Cache:
    """Copies of objects by digest. Nobody may write to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self._checked: set[tuple[str, int, int]] = set()

    def find(self, item: StoredObject) -> Path | None:
        """The copy, if there is one; one that is not what its name says is removed."""
        path = self.objects / item.sha256
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        seen = (item.sha256, found.st_ino, found.st_mtime_ns)
        if found.st_size == item.size and seen in self._checked:
            return path
        if found.st_size == item.size and (found.st_size > CHEAP or digest(path) == item.sha256):
            self._checked.add(seen)
            return path
        path.unlink(missing_ok=True)
        return None

    def add(self, item: StoredObject, download: Callable[[BinaryIO], object]) -> Path:
        """Makes a copy of what `download` writes: on the disk before it has its name, and never half of it.

        Raises:
            ValueError: when that is not the object.
            DiskFull: when there is no room for it.
        """
        with room_in(self.folder), self._new(item.sha256) as part:
            with part.open("wb") as file:
                download(file)
                file.flush()
                os.fsync(file.fileno())
            if (found := digest(part)) != item.sha256:
                raise ValueError(f"it has sha256 {found}")
            return self._place(part, item.sha256)

    def keep(self, path: Path, item: StoredObject) -> None:
        """Takes over a finished file whose digest is known, so that it is not downloaded again."""
        if self.find(item) is not None or path.stat().st_size != item.size:
            return
        with suppress(OSError), path.open("rb") as file:  # of another file system: it will be downloaded
            self.objects.mkdir(parents=True, exist_ok=True)
            os.fsync(file.fileno())
            self._place(path, item.sha256)

    def link(self, source: Path, folder: str, name: str) -> None:
        """Puts a copy into a folder under a name; what else had that name there is replaced."""
        target = self.folder / "folders" / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileExistsError:
            if not target.samefile(source):
                with self._new(source.name) as part:
                    part.hardlink_to(source)
                    part.replace(target)

    def drop_abandoned(self) -> None:
        """Removes what killed downloads left."""
        for part in self.objects.glob("*.part"):
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                    part.unlink()

    @contextmanager
    def _new(self, sha256: str) -> Iterator[Path]:
        """A name for a file that is not a copy yet."""
        self.objects.mkdir(parents=True, exist_ok=True)
        part = self.objects / f"{sha256}.{os.getpid()}.{time.monotonic_ns()}.part"
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _place(self, path: Path, sha256: str) -> Path:
        path.chmod(0o444)
        target = path.replace(self.objects / sha256)
        folder = os.open(self.objects, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return target

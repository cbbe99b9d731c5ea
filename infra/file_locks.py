"""One process of a machine at a time: a lock on a file that says who holds it."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil

WAIT_SECONDS = 0.5
TELL_SECONDS = 600.0
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}
"""File systems whose locks a child process does not inherit, or that keep machines apart only by chance."""


@contextmanager
def locked(path: Path, owner: str, tell: Callable[[str], object]) -> Iterator[BinaryIO]:
    """Holds the lock on `path`, which is made; a child that inherits the open file holds it too.

    The holder may remove the file. So a process that waited compares the file that it locked with the one of that name.
    `tell` gets the holder's name at once and every ten minutes.
    """
    begun = time.monotonic()
    told = -TELL_SECONDS
    while True:
        with path.open("a+b") as file:
            if _take(file):
                if not _is_still(path, file):
                    continue
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}{owner and f', {owner}'}".encode())
                file.flush()
                yield file
                return
            waited = time.monotonic() - begun
            if waited - told >= TELL_SECONDS:
                told = waited
                tell(f"waiting for {_holder(file)} ({path}, {waited / 60:.0f} min so far)")
        time.sleep(WAIT_SECONDS)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock now."""
    try:
        with path.open("rb") as file:
            return _take(file)
    except FileNotFoundError:
        return True


def remote_kind(folder: Path) -> str | None:
    """The kind of file system that `folder` lies on, where locks on it are not to be relied on."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    there = next((path for path in (folder.absolute(), *folder.absolute().parents) if path in mounts), None)
    return mounts[there] if there is not None and mounts[there] in REMOTE else None


def _take(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _holder(file: BinaryIO) -> str:
    file.seek(0)
    said = file.read(300).decode(errors="replace")
    return said if said and said.isprintable() else "another process"

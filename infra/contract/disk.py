"""A full disk: one error for all that fails for want of room, and files that are written whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RESERVE_MIB = 256
"""Below this much room the local S3 server refuses to write (infra.stack.weed), and a disk counts as full."""

FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


class DiskFull(OSError):
    """There was no room left; the message names the folder, the way out, and what failed for it."""


@contextmanager
def room_in(folder: Path, *, but: type[Exception] = DiskFull) -> Iterator[None]:
    """Turns what fails for want of room below `folder` into a `DiskFull`, in one line. Errors of the kind `but` pass.

    Most libraries say so in their own way or not at all: S3 "internal error", torch "unexpected pos", and an engine
    ends without a word. So when something fails, this asks the disk itself.
    """
    try:
        yield
    except (DiskFull, but):
        raise
    except Exception as problem:
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        cause, free = str(problem).partition("\n")[0], shutil.disk_usage(there).free >> 20
        if free >= RESERVE_MIB and not any(words in str(problem) for words in FULL):
            raise
        raise DiskFull(
            f"the disk of {folder.absolute()} is full ({free} MiB are free): make room there, at least "
            f"{RESERVE_MIB} MiB, or put it elsewhere with CPL_HOME (the store: AWS_ENDPOINT_URL and CPL_STORE). Then "
            "`cpl down`, `cpl up`, and retry: what is finished is kept, and a training goes on from its last "
            f"checkpoint. What failed: {type(problem).__name__}: {cause}"
        ) from problem


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file that is there whole or, when that fails, as it was before."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

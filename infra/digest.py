"""The digest of a file or folder: edited data is other data to every cache."""

import hashlib
from pathlib import Path


def digest(path: Path) -> str:
    """sha256 (hex) of a file's bytes, or of the names and bytes of all files below a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for part in sorted(part for part in path.rglob("*") if part.is_file() and part.suffix != ".pyc"):
        whole.update(part.relative_to(path).as_posix().encode())
        whole.update(bytes.fromhex(digest(part)))
    return whole.hexdigest()

"""The digest of a file, a folder or a value: edited data is other data to every cache."""

import hashlib
import json
from pathlib import Path
from typing import Any


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


def digest_of(value: Any) -> str:
    """sha256 (hex) of a JSON value, e.g. token ids: as JSON without blanks, its keys in order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

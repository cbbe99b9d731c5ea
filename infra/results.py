"""Where Prefect keeps task results: JSON below `results/` of the object store (design D5, D6).

The block is a name on the server and nothing else: endpoint, bucket and keys are read from the environment of the
process that uses it, so no secret is ever stored on the server. pyproject.toml names this module as a
`prefect.collections` entry point, which is how every Prefect process finds the class.
"""

from typing import Any

from prefect.filesystems import WritableFileSystem
from pydantic import PrivateAttr

from infra.settings import settings
from infra.store import Store

NAME = "cpl"
BLOCK = f"cpl-results/{NAME}"
"""Value of PREFECT_DEFAULT_RESULT_STORAGE_BLOCK."""


def result_name(key: str) -> str:
    """Where in the store the result of a cache key lies."""
    return f"results/{key}"


class CplResults(WritableFileSystem):
    """Results in the factory's object store."""

    _block_type_name = "CPL results"
    _block_type_slug = "cpl-results"
    _description = "Task results as JSON in the factory's object store; endpoint and keys come from the environment."

    _store: Store | None = PrivateAttr(None)

    def read_path(self, path: str, **_: Any) -> bytes:  # type: ignore[override] # Prefect passes `_sync`
        return self._open().get(result_name(path))

    def write_path(self, path: str, content: bytes, **_: Any) -> None:  # type: ignore[override]
        self._open().put(result_name(path), content)

    def _open(self) -> Store:
        self._store = self._store or Store.open(settings())
        return self._store


def register() -> str:
    """Saves the block on the server of PREFECT_API_URL; returns its slug."""
    CplResults().save(NAME, overwrite=True, _sync=True)  # type: ignore[call-arg]
    return BLOCK

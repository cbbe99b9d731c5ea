"""Where a local engine runs and what it asks of visitors: the file that flows write and the stack's watch reads."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

NAME = "engine.json"
"""In `<home>/engine`, in `<home>/engine/1` of a second one, in `<home>/value/engine` of a value model."""


class EngineFile(BaseModel):
    """`born`: its process's birth, which makes the pid unambiguous. `key`: what it asks of whoever wants something.

    `signature`: of the model folder (architecture and tokenizer), with the arguments that can not change in place.
    """

    pid: int
    born: str
    url: str
    key: str = Field(repr=False)
    signature: str


def engines_of(home: Path) -> Iterator[tuple[str, EngineFile]]:
    """Every engine that was started in a home, by its folder there; one that ended may be among them."""
    for file in sorted([*home.glob(f"engine/**/{NAME}"), *home.glob(f"value/engine/**/{NAME}")]):
        try:
            yield str(file.parent.relative_to(home)), EngineFile.model_validate_json(file.read_text())
        except (FileNotFoundError, ValidationError):
            continue

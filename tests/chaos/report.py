"""What became of the faults of a run of the matrix: build/chaos.json."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """What became of one fault. `stage`: its row of the matrix. Seconds are counted from when it hit."""

    stage: str
    fault: str
    moment: str
    round: str
    victim: str = ""
    hit: bool = False
    retries: int = 0
    recovered: bool = False
    worked_seconds: float = 0.0
    """How long the stage had worked before: at most so much was lost."""
    told_seconds: float | None = None
    """Until its run had failed, and said why; None where it did not fail."""
    recovery_seconds: float | None = None
    """Until the stage was over."""
    sentence: str = ""
    note: str = ""
    differences: list[str] = field(default_factory=list)
    """What the round published otherwise than one that nothing befell; of all faults of a round the same."""


def report(outcomes: list[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """The document, of outcomes as dicts. `lost`, `doubled`, `changed`, `orphans` count rounds of which that was said,
    for a round's faults share it; all else counts faults."""
    hit = [one for one in outcomes if one["hit"]]
    said = list({one["round"]: one["differences"] for one in hit}.values())

    def rounds_where(is_told: Callable[[str], bool]) -> int:
        return sum(any(map(is_told, lines)) for lines in said)

    return about | {
        "faults": len(hit),
        "missed": len(outcomes) - len(hit),
        "recovered": sum(one["recovered"] for one in hit),
        "lost": rounds_where(lambda line: line.startswith("lost: ")),
        "doubled": rounds_where(lambda line: "doubled" in line and ", 0 doubled" not in line),
        "changed": rounds_where(lambda line: not line.startswith(("lost: ", "doubled: ", "orphan: "))),
        "orphans": rounds_where(lambda line: line.startswith("orphan: ")),
        "retries": sum(one["retries"] for one in hit),
        "cells": outcomes,
    }
